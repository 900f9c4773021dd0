//! NetQos policies: conditions that exclude each other, stores, and the documented prints.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use support::Estate;

#[test]
fn what_windows_refuses_is_refused() {
    let mut estate = Estate::installed();
    for (line, part) in [
        ("New-NetQosPolicy x -AppPathName lync -DSCPAction 46", "it must end in .exe"),
        ("New-NetQosPolicy x -AppPathName \\\\server\\share\\a.exe -DSCPAction 46", "a path of the network"),
        ("New-NetQosPolicy 'a\\b' -AppPathName a.exe -DSCPAction 46", "has a \\ in it"),
        (
            "New-NetQosPolicy x -IPSrcPortStart 5000 -IPSrcPortEnd 5000 -DSCPAction 46",
            "-IPSrcPortMatchCondition 5000 names one port",
        ),
        (
            "New-NetQosPolicy x -IPSrcPortStart 5001 -IPSrcPortEnd 5000 -DSCPAction 46",
            "the end behind the start",
        ),
        ("New-NetQosPolicy x -IPDstPortStart 5001 -DSCPAction 46", "are needed together"),
        (
            "New-NetQosPolicy x -IPSrcPort 5 -IPSrcPortStart 5 -IPSrcPortEnd 9 -DSCPAction 46",
            "[AmbiguousParameterSet]",
        ),
        (
            "New-NetQosPolicy x -IPPort 80 -IPSrcPort 50000 -DSCPAction 46",
            "IPPort and IPSrcPortStart exclude each other",
        ),
        ("New-NetQosPolicy x -SMB -NFS -DSCPAction 10", "-SMB and -NFS exclude each other"),
        (
            "New-NetQosPolicy x -SMB -AppPathName a.exe -DSCPAction 10",
            "Template and AppPathName exclude each other",
        ),
        (
            "New-NetQosPolicy x -URI http://a -AppPathName a.exe -DSCPAction 10",
            "URI and AppPathName exclude each other",
        ),
        (
            "New-NetQosPolicy x -IPSrcPrefix 10.0.0.0/8 -IPDstPrefix 2001:db8::/32 -DSCPAction 46",
            "are of two families",
        ),
        ("New-NetQosPolicy x -IPSrcPrefix 10.0.0.0/33 -DSCPAction 46", "is no address or prefix"),
        ("New-NetQosPolicy x -NetDirectPort 445 -DSCPAction 10", "need -PriorityValue8021Action"),
        ("New-NetQosPolicy x -AppPathName a.exe -DSCPAction 64", "64 is outside 0 to 63"),
        ("New-NetQosPolicy x -AppPathName a.exe", "needs an action"),
    ] {
        let error = estate.refused(line);
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn one_port_is_a_range_of_one_and_minus_one_is_no_action() {
    let mut estate = Estate::installed();
    let made = estate
        .done("New-NetQosPolicy x -IPProtocolMatchCondition TCP -IPDstPortMatchCondition 5061 -DSCPAction 24")
        .out;
    assert!(
        made.contains(
            "IPProtocol     : TCP\nIPDstPortStart : 5061\nIPDstPortEnd   : 5061\nDSCPValue      : 24"
        ),
        "{made}"
    );
    assert_eq!(estate.plan().rules()[0].marking.destination_ports.unwrap().to_string(), "5061");
    estate.done("Set-NetQosPolicy x -PriorityValue8021Action 3 -DSCPAction -1");
    assert_eq!(estate.done("(Get-NetQosPolicy x).DSCPValue").out, "-1");
    assert!(estate.plan().rules().is_empty(), "a policy without a mark is no marking rule");
    assert!(estate.refused("Set-NetQosPolicy x -PriorityValue8021Action -1").contains("needs an action"));
}

#[test]
fn a_store_is_where_policies_are_looked_for() {
    let mut estate = Estate::installed();
    let made = estate.done("New-NetQosPolicy FTP -AppPathNameMatchCondition ftp.exe -ThrottleRateActionBitsPerSecond 1MB -PolicyStore ActiveStore");
    let expected = "Name           : FTP\nOwner          : PowerShell / WMI\nNetworkProfile : All\nPrecedence     : 127\n\
                    AppPathName    : ftp.exe\nThrottleRate   : 1.049 MBits/sec";
    assert_eq!(made.out, expected);
    estate.done("New-NetQosPolicy Backup -IPDstPrefixMatchCondition 10.1.1.176/28 -NetworkProfile Domain -DSCPAction 40");
    let mut names = |text: &str| estate.done(&format!("{text} | select -expand Name")).out;
    assert_eq!(names("Get-NetQosPolicy"), "Backup");
    assert_eq!(names("Get-NetQosPolicy -PolicyStore localhost"), "Backup");
    assert_eq!(names("Get-NetQosPolicy -PolicyStore ActiveStore"), "Backup\nFTP");
    assert_eq!(names("Get-NetQosPolicy -PolicyStore GPO:LITWARE\\QoS"), "");
    assert!(estate.refused("Remove-NetQosPolicy FTP -Confirm:$false").contains("in the policy store"));
    estate.done("Get-NetQosPolicy FTP -PolicyStore ActiveStore | Set-NetQosPolicy -Precedence 250");
    assert_eq!(estate.done("(Get-NetQosPolicy FTP -PolicyStore ActiveStore).Precedence").out, "250");
    estate.done("Remove-NetQosPolicy FTP -PolicyStore ActiveStore -Confirm:$false");
    assert!(!estate.toml().contains("FTP"), "{}", estate.toml());
}

#[test]
fn the_documented_examples_print_as_documented() {
    let mut estate = Estate::installed();
    for (line, print) in [
        (
            "New-NetQosPolicy -Name \"SMB Policy\" -SMB -PriorityValue8021Action 3",
            "Name           : SMB Policy\nOwner          : Group Policy (Machine)\nNetworkProfile : All\nPrecedence     : 127\n\
             Template       : SMB\nPriorityValue  : 3",
        ),
        (
            "New-NetQosPolicy -Name Backup -IPDstPrefixMatchCondition \"10.1.1.176/28\" -NetworkProfile Domain -DSCPAction 40",
            "Name           : Backup\nOwner          : Group Policy (Machine)\nNetworkProfile : Domain\nPrecedence     : 127\n\
             IPProtocol     : Both\nIPDstPrefix    : 10.1.1.176/28\nDSCPValue      : 40",
        ),
        (
            "New-NetQosPolicy -Name HTTP -IPPort 80 -IPProtocol TCP -ThrottleRateActionBitsPerSecond 10MB",
            "Name           : HTTP\nOwner          : Group Policy (Machine)\nNetworkProfile : All\nPrecedence     : 127\n\
             IPProtocol     : TCP\nIPPort         : 80\nThrottleRate   : 10.486 MBits/sec",
        ),
        (
            "New-NetQosPolicy -Name IIS -URIMatchCondition \"http://training\" -ThrottleRateActionBitsPerSecond 500KB",
            "Name           : IIS\nOwner          : Group Policy (Machine)\nNetworkProfile : All\nPrecedence     : 127\n\
             URI            : http://training/\nURIRecursive   : False\nThrottleRate   : 512 KBits/sec",
        ),
    ] {
        assert_eq!(estate.done(line).out, print);
    }
    estate.done("Set-NetQosPolicy -Name IIS -Recursive $True -MaxBw 3000KB");
    assert_eq!(estate.done("(Get-NetQosPolicy IIS).URIRecursive").out, "True");
    let all = estate.done("Get-NetQosPolicy -Name \"SMB policy\" | Format-List -Property *").out;
    let names: Vec<&str> = all.lines().map(|line| line.split(" :").next().unwrap().trim()).collect();
    let documented = "User AppPathName Template NetDirectPort IPProtocol IPPort IPSrcPrefix IPSrcPortStart IPSrcPortEnd \
                      IPDstPrefix IPDstPortStart IPDstPortEnd URI URIRecursive PriorityValue DSCPValue MinBandwidthWeight \
                      ThrottleRate NetworkProfile TemplateMatchCondition UserMatchCondition AppPathNameMatchCondition \
                      NetDirectPortMatchCondition IPProtocolMatchCondition IPPortMatchCondition IPSrcPrefixMatchCondition \
                      IPSrcPortStartMatchCondition IPSrcPortEndMatchCondition IPDstPrefixMatchCondition \
                      IPDstPortStartMatchCondition IPDstPortEndMatchCondition URIMatchCondition URIRecursiveMatchCondition \
                      PriorityValue8021Action DSCPAction MinBandwidthWeightAction ThrottleRateAction Caption Description \
                      ElementName InstanceID Name Owner Precedence Version PSComputerName ComputerName ClassName Class";
    assert_eq!(names.join(" "), documented);
    for line in [
        "IPProtocol                   : None",
        "DSCPValue                    : -1",
        "IPPort                       : 0",
    ] {
        assert!(all.contains(line), "{line}\n{all}");
    }
}
