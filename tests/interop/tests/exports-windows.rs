//! What Carillon writes for Windows and browsers, read by programs of others: Samba and regpol for Registry.pol, hivex
//! for `.reg`, tree-sitter for PowerShell, libxml2 for XML. Each must find the plan's rules, field by field, and
//! nothing else, whatever the plan calls its programs.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use carillon_interop::Result;
use carillon_interop::process::run;
use carillon_interop::scenario::required;
use carillon_qos::export::{Order, Target, rules};
use carillon_qos::plan::Scope;
use carillon_qos::{MarkingRule, Plan, PortRange, Protocol, Role};
use serde_json::{Value, json};

/// Debian's modules belong to Debian's python3; what pip installed belongs to the first one.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

const ROLES: [Role; 4] = [Role::Client, Role::Conferencing, Role::Mediation, Role::Edge];

/// Two plans: one that estates have, and one whose names end strings in every spelling.
fn plans() -> [Plan; 2] {
    let hostile = "name = 'a\"b\\c]]>&<x>$(calc)`;'\nbase = \"lync-kloud\"\n[clients]\nexecutables = [\n\
                   \"it's $(calc) `a; ]]&amp; %x% {0} #\u{2019}\u{201d}\u{2013}ü漢.exe\", 'C:\\Program Files\\a[b].exe']\n";
    [Plan::preset("lync-kloud").unwrap(), Plan::from_toml(hostile).unwrap()]
}

/// A folder with every file of these targets.
fn exported(plan: &Plan, targets: &[&str]) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let order = Order { plan, scope: Scope::default() };
    for target in targets {
        for file in (Target::named(target).unwrap().make)(&order)? {
            let path = folder.path().join(&file.path);
            std::fs::create_dir_all(path.parent().unwrap())?;
            std::fs::write(path, &file.bytes)?;
        }
    }
    Ok(folder)
}

fn of_role(plan: &Plan, role: Role) -> Vec<MarkingRule> {
    rules::of_role(&Order { plan, scope: Scope::default() }, role).unwrap()
}

/// Whether a judge is there; else the test is skipped, or fails where it may not be.
fn has(command: &mut Command) -> Result<bool> {
    match run(command) {
        Ok(_) => Ok(true),
        Err(error) if required() => Err(error),
        Err(error) => {
            writeln!(std::io::stderr(), "skipped: {error}")?;
            Ok(false)
        }
    }
}

fn imports(python: &str, modules: &str) -> Result<bool> {
    has(Command::new(python).arg("-c").arg(format!("import {modules}")))
}

fn asked(python: &str, script: &str, files: &[PathBuf]) -> Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(script);
    Ok(serde_json::from_str(&run(Command::new(python).arg(script).args(files))?)?)
}

/// What a registry must hold for these rules, by the description of Windows' format and not by our code.
fn registry(rules: &[MarkingRule]) -> Vec<Value> {
    let ports = |ports: Option<PortRange>| match ports {
        None => "*".to_owned(),
        Some(ports) if ports.start() == ports.end() => ports.start().to_string(),
        Some(ports) => format!("{}:{}", ports.start(), ports.end()),
    };
    let values = |rule: &MarkingRule| -> Vec<Value> {
        let key = format!(r"SOFTWARE\Policies\Microsoft\Windows\QoS\{}", rule.name);
        let protocol = if rule.protocol == Protocol::Tcp { "TCP" } else { "*" };
        let fields = [
            ("Version", "1.0".to_owned()),
            ("Application Name", rule.application.clone().unwrap_or("*".to_owned())),
            ("Protocol", protocol.to_owned()),
            ("Local Port", ports(rule.source_ports)),
            ("Local IP", "*".to_owned()),
            ("Local IP Prefix Length", "*".to_owned()),
            ("Remote Port", ports(rule.destination_ports)),
            ("Remote IP", "*".to_owned()),
            ("Remote IP Prefix Length", "*".to_owned()),
            ("DSCP Value", rule.mark.value().to_string()),
            ("Throttle Rate", "-1".to_owned()),
        ];
        fields.into_iter().map(|(name, text)| json!([key, name, 1, text])).collect()
    };
    rules.iter().flat_map(values).collect()
}

fn sorted(values: &Value) -> BTreeSet<String> {
    values.as_array().unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn samba_finds_every_field_of_a_registry_pol() -> Result<()> {
    if !imports(SYSTEM_PYTHON, "samba.dcerpc.preg")? {
        return Ok(());
    }
    for plan in plans() {
        let folder = exported(&plan, &["windows-pol", "windows-gpo"])?;
        for role in ROLES {
            let file = folder.path().join(format!("windows/{role}/Registry.pol"));
            let found = asked(SYSTEM_PYTHON, "read-pol.py", &[file])?;
            assert_eq!(found, Value::Array(registry(&of_role(&plan, role))), "{role}");
        }
        let mut policies = Vec::new();
        for backup in backups(folder.path())? {
            let file = backup.join("DomainSysvol/GPO/Machine/registry.pol");
            if file.exists() {
                policies.push(asked(SYSTEM_PYTHON, "read-pol.py", &[file])?);
            }
        }
        let expected = [Role::Client, Role::Conferencing, Role::Mediation];
        for role in expected {
            assert!(policies.contains(&Value::Array(registry(&of_role(&plan, role)))), "{role}");
        }
        assert_eq!(policies.len(), expected.len());
    }
    Ok(())
}

#[test]
fn regpol_finds_the_same_records() -> Result<()> {
    if !imports("python3", "regpol")? {
        return Ok(());
    }
    for plan in plans() {
        let folder = exported(&plan, &["windows-pol"])?;
        for role in ROLES {
            let file = folder.path().join(format!("windows/{role}/Registry.pol"));
            let printed = run(Command::new("python3").args(["-c", "import regpol; regpol.cli()"]).arg(file))?;
            let fields = |name: &str| printed.lines().filter(|line| line.trim().starts_with(name)).count();
            let count = registry(&of_role(&plan, role)).len();
            assert_eq!(
                [fields("value:"), fields("type:  1 REG_SZ"), fields("size:")],
                [count; 3],
                "{printed}"
            );
            assert!(!printed.contains("Error"), "{printed}");
        }
    }
    Ok(())
}

#[test]
fn a_registry_holds_what_the_reg_files_install_and_nothing_after_their_removal() -> Result<()> {
    if !imports(SYSTEM_PYTHON, "hivex")? || !has(Command::new("hivexregedit").arg("--help"))? {
        return Ok(());
    }
    for plan in plans() {
        let folder = exported(&plan, &["windows-reg", "browser"])?;
        let file = |name: &str| folder.path().join(name);
        for role in ROLES {
            let install = file(&format!("windows/{role}.reg"));
            let found = asked(SYSTEM_PYTHON, "read-registry.py", std::slice::from_ref(&install))?;
            assert_eq!(sorted(&found), sorted(&Value::Array(registry(&of_role(&plan, role)))), "{role}");
            let remove = file(&format!("windows/{role}-remove.reg"));
            assert_eq!(asked(SYSTEM_PYTHON, "read-registry.py", &[install, remove])?, json!([]), "{role}");
        }
        let (nla, back) = (file("windows/do-not-use-nla.reg"), file("windows/do-not-use-nla-remove.reg"));
        let key = r"SYSTEM\CurrentControlSet\Services\Tcpip\QoS";
        let found = asked(SYSTEM_PYTHON, "read-registry.py", std::slice::from_ref(&nla))?;
        assert_eq!(found, json!([[key, "Do not use NLA", 1, "1"]]));
        assert_eq!(asked(SYSTEM_PYTHON, "read-registry.py", &[nla, back])?, json!([]));
        let browser = asked(SYSTEM_PYTHON, "read-registry.py", &[file("browser/windows.reg")])?;
        let policy =
            |key: &str| json!([format!(r"SOFTWARE\Policies\{key}"), "WebRtcUdpPortRange", 1, "20000-20159"]);
        assert_eq!(sorted(&browser), sorted(&json!([policy(r"Google\Chrome"), policy(r"Microsoft\Edge")])));
    }
    Ok(())
}

#[test]
fn a_grammar_of_powershell_finds_the_commands_and_no_others() -> Result<()> {
    if !imports("python3", "tree_sitter, tree_sitter_powershell")? {
        return Ok(());
    }
    for plan in plans() {
        let folder = exported(&plan, &["windows-netqos"])?;
        for role in ROLES {
            let ours = format!("{{ $_.Name -like 'Carillon {role} *' }}");
            let mut expected = vec![
                json!(["Get-NetQosPolicy"]),
                json!(["Where-Object", ours]),
                json!(["Remove-NetQosPolicy", "-Confirm"]),
            ];
            let removal = asked(
                "python3",
                "read-powershell.py",
                &[folder.path().join(format!("windows/{role}-remove.ps1"))],
            )?;
            assert_eq!(removal, json!({ "errors": false, "commands": expected }), "{role}");
            for rule in of_role(&plan, role) {
                expected.extend([json!(words(&rule)), json!(["Out-Null"])]);
            }
            let found =
                asked("python3", "read-powershell.py", &[folder.path().join(format!("windows/{role}.ps1"))])?;
            assert_eq!(found, json!({ "errors": false, "commands": expected }), "{role}");
        }
    }
    Ok(())
}

fn words(rule: &MarkingRule) -> Vec<String> {
    let mut words = vec!["New-NetQosPolicy".to_owned(), "-Name".to_owned(), rule.name.clone()];
    let mut add = |name: &str, value: String| words.extend([name.to_owned(), value]);
    if let Some(program) = &rule.application {
        add("-AppPathNameMatchCondition", program.clone());
    }
    add("-IPProtocolMatchCondition", if rule.protocol == Protocol::Tcp { "TCP" } else { "Both" }.to_owned());
    for (side, ports) in [("Src", rule.source_ports), ("Dst", rule.destination_ports)] {
        match ports {
            Some(ports) if ports.count() == 1 => {
                add(&format!("-IP{side}PortMatchCondition"), ports.start().to_string())
            }
            Some(ports) => {
                add(&format!("-IP{side}PortStartMatchCondition"), ports.start().to_string());
                add(&format!("-IP{side}PortEndMatchCondition"), ports.end().to_string());
            }
            None => {}
        }
    }
    add("-DSCPAction", rule.mark.value().to_string());
    add("-NetworkProfile", "All".to_owned());
    words
}

/// The folders of the backups, as their manifest lists them.
fn backups(folder: &Path) -> Result<Vec<PathBuf>> {
    let gpo = folder.join("windows/gpo");
    let folders: Result<Vec<PathBuf>> = std::fs::read_dir(&gpo)?.map(|entry| Ok(entry?.path())).collect();
    Ok(folders?.into_iter().filter(|path| path.is_dir()).collect())
}

fn xpath(file: &Path, path: &str) -> Result<String> {
    Ok(run(Command::new("xmllint").args(["--nonet", "--xpath", path]).arg(file))?
        .trim_end_matches('\n')
        .to_owned())
}

#[test]
fn a_backup_of_group_policies_is_xml_whose_parts_name_each_other() -> Result<()> {
    if !has(Command::new("xmllint").arg("--version"))? {
        return Ok(());
    }
    for plan in plans() {
        let folder = exported(&plan, &["windows-gpo"])?;
        let manifest = folder.path().join("windows/gpo/manifest.xml");
        let all = backups(folder.path())?;
        assert_eq!(xpath(&manifest, "count(/*[local-name()='Backups']/*[local-name()='BackupInst'])")?, "4");
        for backup in all {
            let id = backup.file_name().unwrap().to_str().unwrap().to_owned();
            let (info, description) = (backup.join("bkupInfo.xml"), backup.join("Backup.xml"));
            let field = |name: &str| xpath(&info, &format!("string(//*[local-name()='{name}'])"));
            assert_eq!(field("ID")?, id);
            let listed = format!(
                "string(//*[local-name()='BackupInst'][*[local-name()='ID']='{id}']/*[local-name()='GPODisplayName'])"
            );
            assert_eq!(xpath(&manifest, &listed)?, field("GPODisplayName")?);
            let settings = |name: &str| {
                xpath(
                    &description,
                    &format!("string(//*[local-name()='GroupPolicyCoreSettings']/*[local-name()='{name}'])"),
                )
            };
            assert_eq!(
                (settings("ID")?, settings("DisplayName")?),
                (field("GPOGuid")?, field("GPODisplayName")?)
            );
            assert_eq!(settings("MachineVersionNumber")?, "65537");
            let extensions = settings("MachineExtensionGuids")?;
            assert!(extensions.starts_with("[{") && extensions.ends_with("}]"), "{extensions}");
            let location =
                xpath(&description, "string(//*[local-name()='FSObjectFile']/@*[local-name()='Location'])")?;
            assert!(backup.join(location.replace('\\', "/")).is_file(), "{location}");
            let preference = backup.join("DomainSysvol/GPO/Machine/Preferences/Registry/Registry.xml");
            if preference.exists() {
                assert_eq!(xpath(&preference, "string(//Properties/@type)")?, "REG_SZ");
                assert_eq!(xpath(&preference, "string(//Properties/@name)")?, "Do not use NLA");
                assert!(extensions.contains("{B087BE9D-ED37-454F-AF9C-04291E351182}"), "{extensions}");
            }
        }
    }
    Ok(())
}

#[test]
fn device_management_and_profiles_are_xml_with_the_plans_values() -> Result<()> {
    if !has(Command::new("xmllint").arg("--version"))? {
        return Ok(());
    }
    for plan in plans() {
        let folder = exported(&plan, &["intune", "browser"])?;
        let syncml = folder.path().join("intune/client.syncml");
        let rules = of_role(&plan, Role::Client);
        for (number, rule) in rules.iter().enumerate() {
            let leaf = |name: &str| {
                let items =
                    format!("//*[local-name()='Item'][contains(.//*[local-name()='LocURI'], '/{name}')]");
                xpath(&syncml, &format!("string(({items})[{}]/*[local-name()='Data'])", number + 1))
            };
            assert_eq!(leaf("DSCPAction")?, rule.mark.value().to_string());
            assert_eq!(leaf("AppPathNameMatchCondition")?, *rule.application.as_ref().unwrap());
            assert_eq!(
                leaf("IPProtocolMatchCondition")?,
                if rule.protocol == Protocol::Tcp { "1" } else { "0" }
            );
        }
        let removed = folder.path().join("intune/client-remove.syncml");
        assert_eq!(xpath(&removed, "count(//*[local-name()='Delete'])")?, rules.len().to_string());
        let profile: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("intune/client.json"))?)?;
        let programs =
            profile["omaSettings"].as_array().unwrap().iter().filter(|setting| {
                setting["omaUri"].as_str().unwrap().ends_with("/AppPathNameMatchCondition")
            });
        let found: Vec<&str> = programs.map(|setting| setting["value"].as_str().unwrap()).collect();
        let expected: Vec<&str> = rules.iter().filter_map(|rule| rule.application.as_deref()).collect();
        assert_eq!(found, expected);
        let mobile = folder.path().join("browser/macos.mobileconfig");
        let range = "string(//key[.='WebRtcUdpPortRange']/following-sibling::string[1])";
        assert_eq!(xpath(&mobile, range)?, "20000-20159");
        assert_eq!(xpath(&mobile, "count(//array/dict)")?, "2");
    }
    Ok(())
}
