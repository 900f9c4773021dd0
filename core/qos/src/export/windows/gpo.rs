//! A folder of group policy backups for `Import-GPO`: one policy per role in a domain, and one with the NLA switch.
//!
//! Its structure is that of backups that Windows made. Identifiers are derived from the plan, so that the same plan
//! gives the same files, byte by byte.

use super::super::{File, Order, Target, Unfit};
use super::policy::NLA;
use super::xml::cdata;
use super::{guides, hosts, pol};
use crate::role::Role;

pub(super) const TARGET: Target = Target {
    name: "windows-gpo",
    title: "Windows group policies for a domain, as backups for Import-GPO",
    make,
};

/// An Edge is in no domain.
const ROLES: [Role; 3] = [Role::Client, Role::Conferencing, Role::Mediation];

const FOLDER: &str = "windows/gpo";

/// Stands for the domain that the backup never was in; an import replaces it.
const DOMAIN: &str = "carillon.invalid";

/// A core has no clock, and the same plan gives the same folder.
const TIME: &str = "2000-01-01T00:00:00";

const MANIFEST: &str = "http://www.microsoft.com/GroupPolicy/GPOOperations/Manifest";

/// Registry policies, with the tool that edits them.
const POLICY_EXTENSIONS: &str =
    "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]";

/// Registry preferences, with theirs.
const PREFERENCE_EXTENSIONS: &str = "[{00000000-0000-0000-0000-000000000000}{BEE07A6A-EC9F-4659-B8C9-0B1937907C83}]\
                                     [{B087BE9D-ED37-454F-AF9C-04291E351182}{BEE07A6A-EC9F-4659-B8C9-0B1937907C83}]";

/// Version 1 in the directory and version 1 in SYSVOL.
const MACHINE_VERSION: u32 = 1 << 16 | 1;

/// Owner and group SYSTEM; SYSTEM may do everything, authenticated users may read. An import replaces it.
const DESCRIPTOR: &str = "01 00 04 80 14 00 00 00 20 00 00 00 00 00 00 00 2c 00 00 00 \
                          01 01 00 00 00 00 00 05 12 00 00 00 01 01 00 00 00 00 00 05 12 00 00 00 \
                          02 00 30 00 02 00 00 00 \
                          00 02 14 00 ff 00 0f 00 01 01 00 00 00 00 00 05 12 00 00 00 \
                          00 02 14 00 94 00 02 00 01 01 00 00 00 00 00 05 0b 00 00 00";

/// One policy and its backup.
struct Backup {
    name: String,
    /// Identifier of the backup, `{…}`.
    id: String,
    /// Identifier of the policy that was backed up, `{…}`.
    gpo: String,
    extensions: &'static str,
    /// Path below `Machine` and content.
    file: (&'static str, Vec<u8>),
}

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let hosts = hosts(order, &ROLES)?;
    let mut backups = Vec::new();
    for hosts in &hosts {
        let file = ("registry.pol", pol::content(&hosts.rules));
        backups.push(backup(order, &hosts.title, hosts.role.name(), POLICY_EXTENSIONS, file));
    }
    let nla = ("Preferences/Registry/Registry.xml", preference(order).into_bytes());
    backups.push(backup(order, "Carillon QoS Do not use NLA", "nla", PREFERENCE_EXTENSIONS, nla));
    let part = |path: String, text: String| File { path, bytes: text.into_bytes(), guide: None };
    let guide = Some(guides::gpo(&hosts));
    let mut files = vec![File { guide, ..part(format!("{FOLDER}/manifest.xml"), manifest(&backups)) }];
    for backup in backups {
        let folder = format!("{FOLDER}/{}", backup.id);
        files.push(part(
            format!("{folder}/bkupInfo.xml"),
            instance(&backup, &format!(" xmlns=\"{MANIFEST}\"")),
        ));
        files.push(part(format!("{folder}/Backup.xml"), description(&backup)));
        let (path, bytes) = backup.file;
        files.push(File { path: format!("{folder}/DomainSysvol/GPO/Machine/{path}"), bytes, guide: None });
    }
    Ok(files)
}

fn backup(
    order: &Order<'_>,
    name: &str,
    of: &str,
    extensions: &'static str,
    file: (&'static str, Vec<u8>),
) -> Backup {
    let (id, gpo) = (identifier(order, &["backup", of]), identifier(order, &["gpo", of]));
    Backup { name: name.to_owned(), id, gpo, extensions, file }
}

fn manifest(backups: &[Backup]) -> String {
    let instances: String = backups.iter().map(|backup| instance(backup, "")).collect();
    format!(
        "<Backups xmlns=\"{MANIFEST}\" xmlns:mfst=\"{MANIFEST}\" mfst:version=\"1.0\">{instances}</Backups>"
    )
}

fn instance(backup: &Backup, namespace: &str) -> String {
    let domain = format!("{{{}}}", guid("carillon domain"));
    let controller = format!("dc.{DOMAIN}");
    let fields = [
        ("GPOGuid", backup.gpo.as_str()),
        ("GPODomain", DOMAIN),
        ("GPODomainGuid", &domain),
        ("GPODomainController", &controller),
        ("BackupTime", TIME),
        ("ID", &backup.id),
        ("Comment", ""),
        ("GPODisplayName", &backup.name),
    ];
    let fields = fields.map(|(name, text)| format!("<{name}>{}</{name}>", cdata(text))).concat();
    format!("<BackupInst{namespace}>{fields}</BackupInst>")
}

fn description(backup: &Backup) -> String {
    let scheme = "http://www.microsoft.com/GroupPolicy/GPOOperations";
    let version = MACHINE_VERSION.to_string();
    let settings = [
        ("ID", backup.gpo.as_str()),
        ("Domain", DOMAIN),
        ("SecurityDescriptor", DESCRIPTOR),
        ("DisplayName", &backup.name),
        ("Options", "0"),
        ("UserVersionNumber", "0"),
        ("MachineVersionNumber", &version),
        ("MachineExtensionGuids", backup.extensions),
    ];
    let settings = settings.map(|(name, text)| format!("<{name}>{}</{name}>", cdata(text))).concat();
    let settings = format!("{settings}<UserExtensionGuids/><WMIFilter/>");
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <GroupPolicyBackupScheme bkp:version=\"2.0\" bkp:type=\"GroupPolicyBackupTemplate\" \
         xmlns:bkp=\"{scheme}\" xmlns=\"{scheme}\">\
         <GroupPolicyObject><SecurityGroups/><FilePaths/>\
         <GroupPolicyCoreSettings>{settings}</GroupPolicyCoreSettings>{}</GroupPolicyObject>\
         </GroupPolicyBackupScheme>",
        contents(backup)
    )
}

/// The list of files: those of preferences, and the folders that they lie in, belong to no extension that backups know.
fn contents(backup: &Backup) -> String {
    let (path, _) = &backup.file;
    let entry = |kind: &str, path: &str| {
        let path = path.replace('/', "\\");
        let source = format!("\\\\dc.{DOMAIN}\\sysvol\\{DOMAIN}\\Policies\\{}\\Machine\\{path}", backup.gpo);
        format!(
            "<{kind} bkp:Path=\"%GPO_MACH_FSPATH%\\{path}\" bkp:SourceExpandedPath=\"{source}\" \
             bkp:Location=\"DomainSysvol\\GPO\\Machine\\{path}\"/>"
        )
    };
    let folders: Vec<String> = path
        .match_indices('/')
        .filter_map(|(end, _)| path.get(..end))
        .map(|path| entry("FSObjectDir", path))
        .collect();
    let list = format!("{}{}", folders.concat(), entry("FSObjectFile", path));
    let (id, name) = match folders.as_slice() {
        [] => ("35378EAC-683F-11D2-A89A-00C04FBBCFA2", "Registry"),
        _ => ("F15C46CD-82A0-4C2D-A210-5D0D3182A418", "Unknown Extension"),
    };
    format!("<GroupPolicyExtension bkp:ID=\"{{{id}}}\" bkp:DescName=\"{name}\">{list}</GroupPolicyExtension>")
}

/// A preference and no policy: the value lies outside of the keys that Windows clears when a policy goes.
fn preference(order: &Order<'_>) -> String {
    let (key, name) = NLA;
    let (id, time) = (identifier(order, &["preference"]), TIME.replace('T', " "));
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n\
         <RegistrySettings clsid=\"{{A3CCFC41-DFDB-43a5-8D26-0FE8B954DA51}}\">\
         <Registry clsid=\"{{9CD4B2F4-923D-47f5-A062-E897DD1DAD50}}\" name=\"{name}\" status=\"{name}\" image=\"7\" \
         changed=\"{time}\" uid=\"{id}\">\
         <Properties action=\"U\" displayDecimal=\"0\" default=\"0\" hive=\"HKEY_LOCAL_MACHINE\" key=\"{key}\" \
         name=\"{name}\" type=\"REG_SZ\" value=\"1\"/></Registry></RegistrySettings>\r\n"
    )
}

/// The identifier of a thing that a plan has in a scope, with braces.
fn identifier(order: &Order<'_>, of: &[&str]) -> String {
    let scope = [&order.scope.site, &order.scope.service].map(|name| name.as_deref().unwrap_or("\u{1}"));
    let words = [&[order.plan.name()], scope.as_slice(), of].concat();
    format!("{{{}}}", guid(&words.join("\0")))
}

/// RFC 9562, 5.8: an identifier of our own making, here the 128-bit FNV-1a hash of the text.
fn guid(text: &str) -> String {
    let hash = text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    let hash = hash & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let hex = format!("{hash:032X}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_stable_and_of_version_8() {
        assert_eq!(guid("carillon domain"), guid("carillon domain"));
        assert_ne!(guid("a"), guid("b"));
        let id = guid("a");
        let bytes = id.as_bytes();
        assert_eq!(id.len(), 36);
        assert_eq!(bytes[14], b'8');
        assert!(b"89AB".contains(&bytes[19]), "{id}");
    }
}
