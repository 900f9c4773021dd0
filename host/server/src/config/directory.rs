//! What the file of a Front End says of the directory that names its users.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ldap3_proto::{LdapFilter, parse_ldap_filter_str};

use super::raw::{At, Block, Raw};
use super::relays::Secret;
use super::resolve::{Resolver, is_host};
use crate::directory::AccountLockout;

/// The longest filter that is read.
const LONGEST_FILTER: usize = 4096;

/// A directory.
#[derive(Clone, PartialEq, Debug)]
pub struct DirectoryConfig {
    /// The name in the certificates of its servers.
    pub name: String,
    /// Its servers, in the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
    /// Whether TLS is asked for on a connection in clear, or spoken from the first byte on.
    pub start_tls: bool,
    /// Files with the authorities of its certificates.
    pub authorities: Vec<PathBuf>,
    /// Who reads: a distinguished name.
    pub bind: String,
    /// With which password.
    pub secret: Secret,
    /// Below which entry users are.
    pub base: String,
    /// Which entries are users.
    pub filter: LdapFilter,
    /// Where they say what.
    pub attributes: DirectoryAttributes,
    /// The group whose members are administrators.
    pub administrators: Option<String>,
    /// The group whose members are of the help desk.
    pub help_desk: Option<String>,
    /// How often it is read.
    pub interval: Duration,
    /// What it does with accounts whose passwords are guessed at.
    pub lockout: AccountLockout,
}

/// Names of attributes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryAttributes {
    /// What an entry keeps for ever.
    pub id: String,
    /// Addresses; those of the first attribute that has one in our domains count.
    pub address: Vec<String>,
    /// Numbers, the same.
    pub number: Vec<String>,
    /// What people call a user.
    pub display: String,
}

impl DirectoryAttributes {
    /// Those of Active Directory.
    pub fn active_directory() -> DirectoryAttributes {
        DirectoryAttributes {
            id: "objectGUID".to_owned(),
            address: ["msRTCSIP-PrimaryUserAddress", "proxyAddresses", "mail"].map(str::to_owned).to_vec(),
            number: ["msRTCSIP-Line", "telephoneNumber"].map(str::to_owned).to_vec(),
            display: "displayName".to_owned(),
        }
    }

    /// Those of inetOrgPerson (RFC 2798), and entryUUID (RFC 4530).
    pub fn inet_org_person() -> DirectoryAttributes {
        DirectoryAttributes {
            id: "entryUUID".to_owned(),
            address: vec!["mail".to_owned()],
            number: vec!["telephoneNumber".to_owned()],
            display: "displayName".to_owned(),
        }
    }
}

impl Resolver<'_> {
    /// The inner `None` if the section is not there.
    pub(super) fn directory(&mut self, raw: &Raw) -> Option<Option<DirectoryConfig>> {
        let Some(block) = raw.blocks("directory").first() else { return Some(None) };
        let (name, addresses) = (self.directory_name(block), self.directory_addresses(block));
        let (secret, filter) = (self.password(block), self.filter(block));
        let authorities = block.texts("authorities")?;
        let files = authorities
            .value
            .into_iter()
            .filter_map(|value| self.readable(block, "authorities", &At { value, line: authorities.line }));
        let authorities = files.collect();
        let lockout = self.lockout(block);
        let text = |key| block.text(key).map(|at| at.value);
        Some(Some(DirectoryConfig {
            name: name?,
            addresses: addresses?,
            start_tls: text("security")? == "start-tls",
            authorities,
            bind: text("bind")?,
            secret: secret?,
            base: text("base")?,
            filter: filter?,
            attributes: attributes(block)?,
            administrators: text("administrators"),
            help_desk: text("help-desk"),
            interval: Duration::from_secs(block.number("interval")?.value),
            lockout: lockout?,
        }))
    }

    /// Where the first wrong password locks, no password can be tried.
    fn lockout(&mut self, block: &Block) -> Option<AccountLockout> {
        let At { value, line } = block.number("locks-at")?;
        if value < 2 {
            let text =
                "the first wrong password would lock an account: let the directory forgive one at least"
                    .to_owned();
            return self.refuse(block, line, "locks-at", text);
        }
        let resets_after = Duration::from_secs(block.number("resets-after")?.value);
        Some(AccountLockout { locks_at: u32::try_from(value).ok()?, resets_after })
    }

    fn directory_name(&mut self, block: &Block) -> Option<String> {
        let At { value, line } = block.text("name")?;
        match is_host(&value) || value.parse::<std::net::IpAddr>().is_ok() {
            true => Some(value),
            false => self.refuse(
                block,
                line,
                "name",
                format!("{value:?} is neither a host name nor an IP address"),
            ),
        }
    }

    fn directory_addresses(&mut self, block: &Block) -> Option<Vec<SocketAddr>> {
        let At { value, line } = block.texts("addresses")?;
        let address = |text: &String| match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                let text = format!("{text:?} is no ADDRESS:PORT, such as 10.0.0.9:636");
                self.refuse(block, line, "addresses", text)
            }
        };
        value.iter().map(address).collect()
    }

    /// One line; how long it must be is the directory's business.
    pub(super) fn password(&mut self, block: &Block) -> Option<Secret> {
        let at = block.text("secret")?;
        let path = self.readable(block, "secret", &at)?;
        let text = String::from_utf8(self.read(&path).unwrap_or_default()).unwrap_or_default();
        let secret = text.trim_end_matches(['\r', '\n']).to_owned();
        match secret.is_empty() || secret.contains('\n') {
            false => Some(Secret(secret)),
            true => {
                self.refuse(block, at.line, "secret", format!("`{}` holds no line of text", path.display()))
            }
        }
    }

    fn filter(&mut self, block: &Block) -> Option<LdapFilter> {
        let usual = match block.text("kind")?.value.as_str() {
            "inetorgperson" => "(&(objectClass=inetOrgPerson)(mail=*))",
            _ => {
                "(&(objectCategory=person)(objectClass=user)(|(msRTCSIP-PrimaryUserAddress=*)(proxyAddresses=*)(mail=*)))"
            }
        };
        let At { value, line } =
            block.text("filter").unwrap_or(At { value: usual.to_owned(), line: block.line });
        let parsed = Some(&value).filter(|text| text.len() <= LONGEST_FILTER);
        match parsed.and_then(|text| parse_ldap_filter_str(text).ok()) {
            Some(filter) => Some(filter),
            None => {
                let text =
                    format!("{value:?} is no filter such as \"(&(objectClass=person)(mail=*))\" (RFC 4515)");
                self.refuse(block, line, "filter", text)
            }
        }
    }
}

fn attributes(block: &Block) -> Option<DirectoryAttributes> {
    let usual = match block.text("kind")?.value.as_str() {
        "inetorgperson" => DirectoryAttributes::inet_org_person(),
        _ => DirectoryAttributes::active_directory(),
    };
    Some(DirectoryAttributes {
        id: block.text("id").map_or(usual.id, |at| at.value),
        address: block.texts("address").map_or(usual.address, |at| at.value),
        number: block.texts("number").map_or(usual.number, |at| at.value),
        display: block.text("display").map_or(usual.display, |at| at.value),
    })
}
