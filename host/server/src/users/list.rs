//! A list of users as a file: comma-separated values, whose first row names the columns. Whether a user is good is said by the
//! rules; here only what is no user at all is a mistake.

use std::collections::BTreeMap;

use super::NewUser;
use super::csv::{Row, rows};

/// What a file says.
#[derive(Clone, Default, Debug)]
pub struct UserList {
    /// The users, each with the line that its row begins in, from 1.
    pub users: Vec<(usize, NewUser)>,
    /// What is wrong with other rows, by their lines.
    pub mistakes: BTreeMap<usize, String>,
}

impl UserList {
    /// Reads a file; an error if its first row does not name the columns.
    pub fn read(text: &str) -> Result<UserList, String> {
        let mut rows = rows(text).into_iter();
        let head = rows.next().and_then(|row| row.fields.ok()).unwrap_or_default();
        let columns = Columns::of(&head)?;
        let (mut list, mut seen) = (UserList::default(), BTreeMap::new());
        for Row { line, fields } in rows {
            match fields.and_then(|fields| columns.user(fields)) {
                Err(mistake) => drop(list.mistakes.insert(line, mistake)),
                Ok(user) => match seen.insert(user.name.to_ascii_lowercase(), line) {
                    Some(first) => {
                        let mistake = format!("`{}` stands in line {first} already", user.name);
                        list.mistakes.insert(line, mistake);
                    }
                    None => list.users.push((line, user)),
                },
            }
        }
        Ok(list)
    }
}

/// Where the columns stand.
struct Columns {
    count: usize,
    name: usize,
    password: usize,
    site: Option<usize>,
    number: Option<usize>,
}

impl Columns {
    fn of(head: &[String]) -> Result<Columns, String> {
        let known = ["name", "password", "site", "number"];
        let at = |name: &str| head.iter().position(|column| column.eq_ignore_ascii_case(name));
        let strange =
            head.iter().find(|column| !known.iter().any(|known| column.eq_ignore_ascii_case(known)));
        match (at("name"), at("password"), strange) {
            (Some(name), Some(password), None) => {
                let (site, number) = (at("site"), at("number"));
                Ok(Columns { count: head.len(), name, password, site, number })
            }
            _ => {
                Err("the first line must name the columns: name,password and perhaps site,number".to_owned())
            }
        }
    }

    fn user(&self, fields: Vec<String>) -> Result<NewUser, String> {
        if fields.len() != self.count {
            return Err(format!("has {} fields, not {}", fields.len(), self.count));
        }
        let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
        let filled = |at: Option<usize>| at.map(field).filter(|text| !text.is_empty());
        let (site, number) = (filled(self.site), filled(self.number));
        Ok(NewUser { name: field(self.name), password: field(self.password), site, number, digest: None })
    }
}
