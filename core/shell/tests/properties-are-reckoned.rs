//! Properties that a block reckons, and what else scripts do with objects: sorting, counting, texts, files.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use support::Estate;

const TWO: &str = "name = \"t\"\nbase = \"lync\"\n[services.\"ConferencingServer:a.example.com\"]\n\
                   [services.\"MediationServer:b.example.com\"]\nroles.mediation.audio = \"60000-60999\"\n";

#[test]
fn a_block_gives_a_property_its_value() {
    let mut estate = Estate::with(TWO);
    let mut out = |text: &str| estate.done(text).out;
    assert_eq!(
        out(
            "Get-CsService -MediationServer | Select-Object PoolFqdn, @{Name='AudioEnd';Expression={$_.AudioPortStart + $_.AudioPortCount - 1}}"
        ),
        "PoolFqdn      AudioEnd\n--------      --------\nb.example.com 60999"
    );
    assert_eq!(
        out(
            "Get-CsService -MediationServer | fl @{l=\"Range\";e={\"$($_.AudioPortStart)+$($_.AudioPortCount)\"}}, @{n='Role';e='Role'}"
        ),
        "Range : 60000+1000\nRole  : MediationServer"
    );
    assert_eq!(
        out(
            "Get-CsService -MediationServer | Format-Table @{Label='Port';Expression={$_.AudioPortStart};Width=9}, {$_.Role}"
        ),
        "Port  $_.Role\n----  -------\n60000 MediationServer"
    );
    assert_eq!(out("1..3 | select @{n='x';e={$_ * 2}} | select -expand x"), "2\n4\n6");
    assert_eq!(out("Get-CsService -MediationServer | select @{n='x';e={$_.Nothing}} | fl"), "x :");
}

#[test]
fn what_a_column_cannot_be_is_refused_by_name() {
    let mut estate = Estate::with(TWO);
    assert!(estate.refused("Get-CsService | select @{n='x'}").contains("names no Expression"));
    assert!(estate.refused("Get-CsService | select @{n='x';e={1};z=2}").contains("The key 'z'"));
    assert!(
        estate
            .refused("Get-CsService | select @{n='x';e={[math]::Round(1)}}")
            .contains("the type [math] is not known")
    );
    assert!(
        estate
            .refused("Get-CsService | select @{n='x';e={$_.Role.Reverse()}}")
            .contains("The method 'reverse'")
    );
    let width = estate.done("Get-CsService | ft @{n='x';e={1};Width=9}");
    assert!(width.warnings.contains("Width in `@{ }` has no effect"), "{}", width.warnings);
}

#[test]
fn objects_are_sorted_grouped_counted_and_summed() {
    let mut estate = Estate::with(TWO);
    let mut out = |text: &str| estate.done(text).out;
    assert_eq!(
        out("Get-CsService | sort {$_.AudioPortStart} -Descending | select -expand PoolFqdn"),
        "b.example.com\na.example.com"
    );
    assert_eq!(
        out("Get-CsService | sort @{e='AudioPortStart';Descending=$true}, Role | select -expand Role"),
        "MediationServer\nConferencingServer"
    );
    assert_eq!(
        out(
            "Get-CsService | Measure-Object AudioPortStart -Sum -Average -Maximum | fl Count, Sum, Average, Maximum, Minimum"
        ),
        "Count   : 2\nSum     : 109152\nAverage : 54576\nMaximum : 60000\nMinimum :"
    );
    assert_eq!(
        out("Get-CsService | group Role -NoElement"),
        "Count Name\n----- ----\n1     ConferencingServer\n1     MediationServer"
    );
    assert_eq!(
        out("Get-CsService | select Role, Version | ft Version -GroupBy Role"),
        "   Role: ConferencingServer\n\nVersion\n-------\n5\n   Role: MediationServer\n\nVersion\n-------\n5"
    );
    assert_eq!(
        out("Get-CsService -MediationServer | select * -ExcludeProperty *Sip*, *List*, S* | fl *Port*"),
        "AudioPortStart : 60000\nAudioPortCount : 1000"
    );
}

#[test]
fn operators_and_casts_that_scripts_use() {
    let mut estate = Estate::installed();
    for (text, result) in [
        ("\"{0} of {1}\" -f 1, 'two'", "1 of two"),
        ("('a','b') -join '-'", "a-b"),
        ("'a,b' -split ',' | select -First 1", "a"),
        ("'Site:Redmond' -replace 'site:', ''", "Redmond"),
        ("[int]'5' + 2", "7"),
        ("7 / 2", "3.5"),
        ("7 % 4 + 8 / 4", "5"),
        ("2..4 -join ' '", "2 3 4"),
        ("([PSCustomObject]@{A=1;B='x'} | fl) | Out-String", "A : 1\nB : x"),
        ("'a.b.c'.Split('.')[1].ToUpper()", "B"),
    ] {
        assert_eq!(estate.done(text).out, result, "{text}");
    }
    assert!(estate.refused("'x' -f").contains("a value is missing"));
    assert!(estate.refused("1..99999999").contains("longer than"));
    assert!(estate.refused("'{0:N2}' -f 5").contains("`{0:N2}` is not known"));
}

#[test]
fn objects_come_from_a_csv_file() {
    let mut estate = Estate::with(
        "name = \"t\"\nbase = \"lync\"\n[management.NetworkRegion.West]\nCentralSite = \"R\"\n[management.NetworkSite.Redmond]\nNetworkRegionID = \"West\"\n",
    );
    let file = "IPAddress, mask, description, NetworkSiteID\r\n172.11.12.0, 24, \"NA:Subnet, in \"\"Redmond\"\"\", Redmond\r\n172.11.13.0, 25, two, Redmond\r\n";
    estate.files.insert("C:\\subnet.csv".to_owned(), file.to_owned());
    estate.done("Import-csv C:\\subnet.csv | foreach {New-CsNetworkSubnet $_.IPAddress -MaskBits $_.mask -Description $_.description -NetworkSiteID $_.NetworkSiteID} | Out-Null");
    let shown = estate.done("Get-CsNetworkSubnet | ft Identity, MaskBits, Description").out;
    assert!(
        shown.contains("172.11.12.0 24       NA:Subnet, in \"Redmond\"\n172.11.13.0 25       two"),
        "{shown}"
    );
}

#[test]
fn objects_go_into_a_csv_file_and_words_of_the_language_are_refused_by_name() {
    let mut estate = Estate::installed();
    estate.done("Get-CsUCPhoneConfiguration | select Identity, VoiceDiffServTag | Export-Csv x.csv -Delimiter ';' -NoTypeInformation -Encoding UTF8");
    assert_eq!(estate.files["x.csv"], "\"Identity\";\"VoiceDiffServTag\"\n\"Global\";\"40\"\n");
    assert_eq!(estate.done("Import-Csv x.csv -Delimiter ';' | select -expand VoiceDiffServTag").out, "40");
    assert_eq!(estate.done("Write-Host 'QoS' -ForegroundColor Green").out, "QoS");
    for (line, word) in
        [("try { 1 } catch { 2 }", "try"), ("function f { 1 }", "function"), ("while ($true) { 1 }", "while")]
    {
        assert!(estate.refused(line).contains(&format!("`{word}` is not read here")), "{line}");
    }
}
