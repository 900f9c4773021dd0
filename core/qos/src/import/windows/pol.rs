//! `Registry.pol`: records of a group policy, as MS-GPREG lays them out.

use super::super::{Format, Note, Read};
use super::Errors;
use super::policies::{Data, Policies};

pub(super) const FORMAT: Format = Format { name: "Registry.pol", recognise, read };

const SIGNATURE: &[u8] = b"PReg";

fn recognise(bytes: &[u8]) -> bool {
    bytes.starts_with(SIGNATURE)
}

fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let mut errors = Errors::default();
    let mut policies = Policies::default();
    let mut reader = Reader { bytes, at: SIGNATURE.len() };
    let read = reader.version().and_then(|()| {
        while reader.at < bytes.len() {
            let at = reader.place();
            apply(&reader.record()?, &at, &mut policies);
        }
        Ok(())
    });
    if let Err(Note { place, text }) = read {
        errors.add(place, text);
    }
    policies.read(errors)
}

struct Record<'p> {
    key: String,
    name: String,
    kind: u32,
    data: &'p [u8],
}

impl Record<'_> {
    fn text(&self) -> String {
        let units: Vec<u16> = self.data.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned()
    }

    fn value(&self) -> Data {
        match self.kind {
            1 => Data::Text(self.text()),
            2 => Data::Other("REG_EXPAND_SZ"),
            4 => Data::Number(self.data.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))),
            7 => Data::Other("REG_MULTI_SZ"),
            _ => Data::Other("bytes"),
        }
    }
}

/// Sets or, by the special names of values, removes.
fn apply(record: &Record<'_>, place: &str, policies: &mut Policies) {
    let key = record.key.as_str();
    let special = record.name.strip_prefix("**").map(str::to_ascii_lowercase);
    let behind = |len: usize| record.name.get(len..).unwrap_or_default();
    match special.as_deref() {
        None if record.name.is_empty() => policies.key(place, key),
        None => policies.set(place, key, &record.name, record.value()),
        Some(special) if special.starts_with("delvals") => policies.unset(key, None),
        Some(special) if special.starts_with("del.") => policies.unset(key, Some(behind("**del.".len()))),
        Some("deletevalues") => record.text().split(';').for_each(|name| policies.unset(key, Some(name))),
        Some("deletekeys") => {
            record.text().split(';').for_each(|name| policies.remove(place, &format!("{key}\\{name}")));
        }
        Some(special) if special.starts_with("soft.") => {
            policies.set(place, key, behind("**soft.".len()), record.value());
        }
        Some(_) => policies.note(place, format!("`{}` was passed over", record.name)),
    }
}

struct Reader<'p> {
    bytes: &'p [u8],
    at: usize,
}

impl<'p> Reader<'p> {
    fn version(&mut self) -> Result<(), Note> {
        match self.number("the version")? {
            1 => Ok(()),
            other => Err(Note {
                place: "offset 0x4".to_owned(),
                text: format!("version {other} of Registry.pol is not known"),
            }),
        }
    }

    /// `[key;name;type;size;data]`.
    fn record(&mut self) -> Result<Record<'p>, Note> {
        self.expect('[')?;
        let key = self.string("a key")?;
        self.expect(';')?;
        let name = self.string("a value's name")?;
        self.expect(';')?;
        let kind = self.number("a type")?;
        self.expect(';')?;
        let size = self.number("a size")?;
        self.expect(';')?;
        let data = usize::try_from(size).ok().and_then(|size| self.take(size));
        let Some(data) = data else {
            return self.fail(format!("`{name}` says that it has {size} bytes; the file ends before"));
        };
        self.expect(']')?;
        Ok(Record { key, name, kind, data })
    }

    /// UTF-16 up to its NUL.
    fn string(&mut self, what: &str) -> Result<String, Note> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let units = rest.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair));
        let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        let length = units.len() * 2 + 2;
        let Ok(text) = String::from_utf16(&units) else { return self.fail(format!("{what} is no UTF-16")) };
        if self.take(length).is_none() {
            return self.fail(format!("{what} has no end"));
        }
        Ok(text)
    }

    fn expect(&mut self, delimiter: char) -> Result<(), Note> {
        let expected = [delimiter as u8, 0];
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(&expected)) {
            self.at += 2;
            return Ok(());
        }
        self.fail(format!("expected `{delimiter}`"))
    }

    fn number(&mut self, what: &str) -> Result<u32, Note> {
        match self.take(4).and_then(|bytes| bytes.first_chunk()) {
            Some(bytes) => Ok(u32::from_le_bytes(*bytes)),
            None => self.fail(format!("the file ends inside of {what}")),
        }
    }

    fn take(&mut self, count: usize) -> Option<&'p [u8]> {
        let bytes = self.bytes.get(self.at..)?.get(..count)?;
        self.at += count;
        Some(bytes)
    }

    fn place(&self) -> String {
        format!("offset 0x{:x}", self.at)
    }

    fn fail<T>(&self, text: String) -> Result<T, Note> {
        Err(Note { place: self.place(), text })
    }
}
