//! A running server as the shell's host, through its admin API.

use carillon_server::admin::{Client, ClientError};
use carillon_server::users::NewUser;
use carillon_shell::{Certificate, Failed, Host, Server, Stored, Stream, User, Version};

use super::file;
use crate::answer::Failure;
use crate::args::Reach;
use crate::verb::user::reach;

/// A running server.
pub(super) struct Live {
    client: Client,
}

impl Live {
    /// Connects to the server that is meant.
    pub(super) fn open(server: &Reach) -> Result<Live, Failure> {
        Ok(Live { client: reach::connect(&reach::socket(server)?)? })
    }
}

fn failed(error: ClientError) -> Failed {
    match error {
        ClientError::Refused(_, reasons) => Failed(reasons.join("; ")),
        error => Failed(carillon_server::chain(&error)),
    }
}

impl Host for Live {
    fn plan(&mut self) -> Result<Stored, Failed> {
        let plan = self.client.plan().map_err(failed)?;
        Ok(Stored { toml: plan.toml, version: plan.version })
    }

    fn store(&mut self, toml: &str, seen: u64, _: &str) -> Result<u64, Failed> {
        self.client.put_plan(toml, seen).map_err(failed)
    }

    fn versions(&mut self) -> Result<Vec<Version>, Failed> {
        let rows = self.client.plan_versions().map_err(failed)?;
        let version = |row: carillon_server::admin::PlanRow| Version {
            version: row.version,
            time: row.time,
            who: row.who,
            source: row.source,
        };
        Ok(rows.into_iter().map(version).collect())
    }

    fn version(&mut self, version: u64) -> Result<Stored, Failed> {
        let plan = self.client.plan_version(version).map_err(failed)?;
        Ok(Stored { toml: plan.toml, version: plan.version })
    }

    fn server(&mut self) -> Result<Option<Server>, Failed> {
        let status = self.client.status().map_err(failed)?;
        let certificate = |facts: carillon_server::CertificateFacts| Certificate {
            issuer: facts.issuer,
            subject: facts.subject,
            not_before: facts.not_before,
            not_after: facts.not_after,
            serial: facts.serial,
            names: facts.names,
            thumbprint: facts.thumbprint,
            uses: status.certificate_uses.clone(),
        };
        let certificates = status.certificate.into_iter().map(certificate).collect();
        Ok(Some(Server { fqdn: status.name, domains: status.domains, program: status.program, certificates }))
    }

    fn users(&mut self) -> Result<Vec<User>, Failed> {
        let mut users: Vec<User> = Vec::new();
        loop {
            let last = users.last().map_or(String::new(), |user| user.name.clone());
            let page = self.client.users_after(&last).map_err(failed)?;
            if page.is_empty() {
                return Ok(users);
            }
            users.extend(page.into_iter().map(|row| User { name: row.name, site: row.site }));
        }
    }

    fn add_user(&mut self, name: &str, site: Option<&str>) -> Result<String, Failed> {
        let made = carillon_server::dev::password();
        let password = made.map_err(|error| Failed(format!("cannot make a password up: {error}")))?;
        let site = site.map(str::to_owned);
        let user =
            NewUser { name: name.to_owned(), password: password.clone(), site, number: None, digest: None };
        self.client.put_users(&[user]).map_err(failed)?;
        Ok(password)
    }

    fn remove_user(&mut self, name: &str) -> Result<bool, Failed> {
        self.client.remove_user(name).map_err(failed)
    }

    fn write(&mut self, path: &str, text: &str, append: bool) -> Result<(), Failed> {
        file::write(path, text, append)
    }

    fn read(&mut self, path: &str) -> Result<String, Failed> {
        file::read(path)
    }

    fn confirm(&mut self, question: &str) -> Option<bool> {
        file::confirm(question)
    }

    fn show(&mut self, _: Stream, _: &str) {}
}
