//! Help and completion, made from the table of cmdlets.

use carillon_qos::plan::management::Values;

use super::{Call, Cmdlet, Parameter, Run, Takes, documented, find};
use crate::error::{Error, Fault};
use crate::object::{Object, Value, View, Wildcard};
use crate::shell::Shell;

/// What could stand at a place of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Where what is completed begins, in bytes.
    pub from: usize,
    /// What could stand there.
    pub words: Vec<String>,
}

pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let make = |name: &str, aliases, about: &str, further: &[Parameter], run| Cmdlet {
        name: name.to_owned(),
        aliases,
        about: about.to_owned(),
        parameters: [&[Parameter::text("Name").at(0)], further].concat(),
        kind: None,
        run: Run::All(run),
    };
    // There is one module, and one length of help.
    let narrower = ["Verb", "Noun", "Module"].map(Parameter::text);
    let longer = ["Full", "Detailed", "Examples", "Online"].map(Parameter::switch);
    let longer = [&longer[..], &[Parameter::text("Parameter")]].concat();
    vec![
        make("Get-Command", &["gcm"], "Lists the cmdlets that there are.", &narrower, list_cmdlets),
        make(
            "Get-Help",
            &["help", "man"],
            "Says what a cmdlet does and which parameters it has.",
            &longer,
            help,
        ),
        make("Get-Member", &["gm"], "Lists the properties of objects.", &[], members),
    ]
}

fn list_cmdlets(call: &mut Call<'_, '_>, _: Vec<Value>) -> Result<Vec<Value>, Error> {
    let pattern = Wildcard::new(&call.bound.text("Name").unwrap_or_else(|| "*".to_owned()));
    let part = |name| call.bound.text(name).map(|text| Wildcard::new(&text));
    let (verb, noun) = (part("Verb"), part("Noun"));
    let fits = |cmdlet: &&Cmdlet| {
        let (of_verb, of_noun) = cmdlet.name.split_once('-').unwrap_or((&cmdlet.name, ""));
        pattern.matches(&cmdlet.name)
            && verb.as_ref().is_none_or(|verb| verb.matches(of_verb))
            && noun.as_ref().is_none_or(|noun| noun.matches(of_noun))
    };
    let row = |cmdlet: &Cmdlet| {
        let object = Object::new("").with("Name", cmdlet.name.as_str()).with("About", cmdlet.about.as_str());
        Value::Object(Object { view: View::Table, ..object })
    };
    Ok(call.shell.cmdlets.iter().filter(fits).map(row).collect())
}

fn help(call: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let Some(name) = call.bound.text("Name") else { return list_cmdlets(call, input) };
    if Wildcard::is_one(&name) {
        return list_cmdlets(call, input);
    }
    let Some(cmdlet) = find(&call.shell.cmdlets, &name) else {
        return Err(Error::new(
            Fault::CommandNotFound,
            format!("{name}: there is no such cmdlet. Get-Command lists them."),
        ));
    };
    if let Some(one) = call.bound.text("Parameter") {
        let wanted = Wildcard::new(&one);
        let found = cmdlet.parameters.iter().filter(|parameter| wanted.matches(parameter.name));
        let lines: Vec<Value> = found.map(|parameter| line(cmdlet, parameter).into()).collect();
        let none = format!("{name}: no parameter matches \"{one}\".");
        return if lines.is_empty() { Err(Error::new(Fault::ObjectNotFound, none)) } else { Ok(lines) };
    }
    let mut lines = vec![cmdlet.name.clone(), format!("  {}", cmdlet.about), String::new()];
    lines.extend(cmdlet.parameters.iter().map(|parameter| format!("  {}", line(cmdlet, parameter))));
    let known = |name: &str| cmdlet.parameters.iter().any(|parameter| parameter.is_called(name));
    let idle: Vec<String> = documented::parameters(&cmdlet.name)
        .filter(|parameter| !known(parameter.name))
        .map(|parameter| format!("-{}", parameter.name))
        .collect();
    if !idle.is_empty() {
        lines.push(format!("  documented, but not in Carillon: {}", idle.join(" ")));
    }
    lines.push("  -WhatIf  -Confirm  -Force  -ErrorAction  -WarningAction  -Verbose".to_owned());
    if !cmdlet.aliases.is_empty() {
        lines.push(format!("  also: {}", cmdlet.aliases.join(", ")));
    }
    Ok(lines.into_iter().map(Value::from).collect())
}

fn line(cmdlet: &Cmdlet, parameter: &Parameter) -> String {
    let mut text = match parameter.takes {
        Takes::Switch => format!("-{}", parameter.name),
        takes => format!("-{} <{}>", parameter.name, expected(takes)),
    };
    let default = cmdlet.kind.and_then(|kind| kind.property(parameter.name)).map(|property| property.default);
    if let Some(default) = default.filter(|default| !default.is_empty()) {
        text.push_str(&format!(", {default} unless set"));
    }
    if parameter.required {
        text.push_str(", required");
    }
    if !parameter.aliases.is_empty() {
        text.push_str(&format!(" (also -{})", parameter.aliases.join(", -")));
    }
    text
}

fn expected(takes: Takes) -> String {
    match takes {
        Takes::Switch => String::new(),
        Takes::Any => "object".to_owned(),
        Takes::Texts => "text, …".to_owned(),
        Takes::Values(Values::Text) => "text".to_owned(),
        Takes::Values(Values::Boolean) => "$true or $false".to_owned(),
        Takes::Values(Values::Integer { least, most }) => format!("{least} to {most}"),
        Takes::Values(Values::Word(words)) => words.join(" | "),
        Takes::Values(values) => values.expected(),
    }
}

fn members(_: &mut Call<'_, '_>, input: Vec<Value>) -> Result<Vec<Value>, Error> {
    let Some(Value::Object(first)) = input.first() else { return Ok(Vec::new()) };
    let row = |(name, _): &(String, Value)| {
        let object = Object::new("").with("Name", name.as_str()).with("MemberType", "Property");
        Value::Object(Object { view: View::Table, ..object })
    };
    Ok(first.properties.iter().map(row).collect())
}

impl Shell<'_> {
    /// What could stand at this place of a line: a cmdlet, a parameter, a word that a parameter takes.
    pub fn complete(&self, line: &str, at: usize) -> Completion {
        let before = line.get(..at).unwrap_or(line);
        let start = before.rfind(['|', ';', '{', '(']).map_or(0, |at| at + 1);
        let command = before.get(start..).unwrap_or_default();
        let from = before.rfind([' ', '|', ';', '{', '(', ',']).map_or(0, |at| at + 1);
        let word = before.get(from..).unwrap_or_default();
        let begins =
            |full: &str| full.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        let mut typed = command.split_whitespace();
        let name = typed.next().unwrap_or_default();
        let words: Vec<String> = if command.trim_start() == word {
            self.cmdlets.iter().map(|cmdlet| cmdlet.name.clone()).filter(|name| begins(name)).collect()
        } else {
            let previous = typed.rfind(|typed| *typed != word);
            find(&self.cmdlets, name).map_or(Vec::new(), |cmdlet| of_cmdlet(cmdlet, previous, begins))
        };
        Completion { from, words }
    }
}

fn of_cmdlet(cmdlet: &Cmdlet, previous: Option<&str>, begins: impl Fn(&str) -> bool) -> Vec<String> {
    let parameters = || cmdlet.parameters.iter();
    let named = previous.and_then(|previous| previous.strip_prefix('-'));
    let awaited = named.and_then(|name| parameters().find(|parameter| parameter.is_called(name)));
    let words: Vec<String> = match awaited.map(|parameter| parameter.takes) {
        Some(Takes::Values(Values::Boolean)) => vec!["$true".to_owned(), "$false".to_owned()],
        Some(Takes::Values(Values::Word(words))) => words.iter().map(|word| (*word).to_owned()).collect(),
        _ => parameters().map(|parameter| format!("-{}", parameter.name)).collect(),
    };
    words.into_iter().filter(|word| begins(word)).collect()
}
