//! The table of cmdlets, from which binding, help and completion derive; and how one is called.

mod absent;
mod bind;
mod builtin;
mod collection;
mod columns;
mod condition;
mod convert;
mod documented;
mod export;
pub(crate) mod help;
mod identity;
mod netqos;
mod network;
mod order;
mod service;
mod topology;
mod user;

use std::rc::Rc;

use carillon_qos::plan::{ManagedKind, Property, management::Values, nearest};

pub(crate) use bind::Bound;
pub(crate) use identity::place_of;

use crate::error::{Error, Fault};
use crate::language::ast::Element;
use crate::object::Value;
use crate::shell::Shell;

/// A cmdlet.
pub(crate) struct Cmdlet {
    pub(crate) name: String,
    pub(crate) aliases: &'static [&'static str],
    /// One sentence.
    pub(crate) about: String,
    pub(crate) parameters: Vec<Parameter>,
    /// The kind of object it is about, whose properties are among the parameters.
    pub(crate) kind: Option<&'static ManagedKind>,
    pub(crate) run: Run,
}

/// What a cmdlet hands on.
pub(crate) type Output = Result<Vec<Value>, Error>;

impl Cmdlet {
    /// A cmdlet about no kind of object, which runs once for each object of the pipeline.
    fn each(
        name: &str,
        about: &str,
        parameters: Vec<Parameter>,
        run: fn(&mut Call<'_, '_>) -> Result<Vec<Value>, Error>,
    ) -> Cmdlet {
        let (name, about) = (name.to_owned(), about.to_owned());
        Cmdlet { name, aliases: &[], about, parameters, kind: None, run: Run::Each(run) }
    }
}

/// How a cmdlet takes what comes through the pipeline.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Once for each object, or once without a pipeline.
    Each(fn(&mut Call<'_, '_>) -> Output),
    /// Once, with all of them.
    All(fn(&mut Call<'_, '_>, Vec<Value>) -> Output),
    /// Once, with what was typed as it was typed.
    Raw(fn(&mut Shell<'_>, &[Element], Vec<Value>) -> Output),
}

/// A parameter.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) takes: Takes,
    /// Its place among values without a name, from 0.
    pub(crate) position: Option<u8>,
    pub(crate) required: bool,
    pub(crate) from: From,
}

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Takes {
    /// Nothing: it is there or not.
    Switch,
    /// A value of a property, or what changes a list.
    Values(Values),
    /// One text or several.
    Texts,
    /// Anything.
    Any,
}

/// What it takes from the pipeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum From {
    /// Nothing.
    Nowhere,
    /// A property of that name.
    Property,
    /// The object itself.
    Object,
    /// A property of that name, or a text.
    Text,
}

impl Parameter {
    pub(crate) const fn new(name: &'static str, takes: Takes) -> Parameter {
        Parameter { name, aliases: &[], takes, position: None, required: false, from: From::Nowhere }
    }

    pub(crate) const fn switch(name: &'static str) -> Parameter {
        Parameter::new(name, Takes::Switch)
    }

    pub(crate) const fn text(name: &'static str) -> Parameter {
        Parameter::new(name, Takes::Values(Values::Text))
    }

    pub(crate) const fn at(mut self, position: u8) -> Parameter {
        self.position = Some(position);
        self
    }

    pub(crate) const fn required(mut self) -> Parameter {
        self.required = true;
        self
    }

    pub(crate) const fn from(mut self, from: From) -> Parameter {
        self.from = from;
        self
    }

    pub(crate) const fn alias(mut self, aliases: &'static [&'static str]) -> Parameter {
        self.aliases = aliases;
        self
    }

    /// The parameter that sets a property.
    pub(crate) fn of(property: &Property) -> Parameter {
        Parameter::new(property.name, Takes::Values(property.values))
    }

    /// Whether its name or an alias begins so.
    pub(crate) fn begins(&self, start: &str) -> bool {
        let begins =
            |full: &str| full.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start));
        begins(self.name) || self.aliases.iter().any(|alias| begins(alias))
    }

    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// A cmdlet being carried out.
pub(crate) struct Call<'c, 'h> {
    pub(crate) shell: &'c mut Shell<'h>,
    pub(crate) cmdlet: &'c Cmdlet,
    pub(crate) bound: Bound,
}

impl Call<'_, '_> {
    /// The kind of a cmdlet that has one.
    pub(crate) fn kind(&self) -> Result<&'static ManagedKind, Error> {
        self.cmdlet.kind.ok_or_else(|| Error::new(Fault::InvalidOperation, "the cmdlet has no kind"))
    }

    /// Whether only to say what would be done; says it.
    pub(crate) fn what_if(&mut self, target: &str) -> bool {
        let only = self.bound.is_set("WhatIf");
        if only {
            let line =
                format!("What if: Performing the operation \"{}\" on target \"{target}\".", self.cmdlet.name);
            self.shell.host.show(crate::host::Stream::Output, &line);
        } else if self.bound.is_set("Verbose") {
            let name = &self.cmdlet.name;
            let line = format!("VERBOSE: Performing the operation \"{name}\" on target \"{target}\".");
            self.shell.host.show(crate::host::Stream::Output, &line);
        }
        only
    }

    /// Whether a person agrees, where it is asked for by `-Confirm` or by the cmdlet itself.
    pub(crate) fn agreed(&mut self, asks: bool, question: &str) -> Result<bool, Error> {
        let asks = match self.bound.get("Confirm") {
            Some(value) => value.is_true(),
            None => asks && !self.bound.is_set("Force"),
        };
        if !asks {
            return Ok(true);
        }
        self.shell.host.confirm(question).ok_or_else(|| {
            let text =
                format!("{question} Nobody is there to say yes; nothing was changed. Say -Confirm:$false.");
            Error::new(Fault::InvalidOperation, text)
        })
    }
}

/// Every cmdlet.
pub(crate) fn all() -> Vec<Cmdlet> {
    let mut cmdlets = builtin::cmdlets();
    cmdlets.extend(help::cmdlets());
    cmdlets.extend(collection::cmdlets());
    cmdlets.extend(service::cmdlets());
    cmdlets.extend(network::cmdlets());
    cmdlets.extend(netqos::cmdlets());
    cmdlets.extend(user::cmdlets());
    cmdlets.extend(topology::cmdlets());
    cmdlets.extend(absent::cmdlets());
    cmdlets.sort_by(|a, b| a.name.cmp(&b.name));
    cmdlets
}

/// Finds a cmdlet and carries it out.
pub(crate) fn invoke(
    shell: &mut Shell<'_>,
    name: &str,
    elements: &[Element],
    input: Option<Vec<Value>>,
) -> Result<Vec<Value>, Error> {
    let cmdlets = Rc::clone(&shell.cmdlets);
    let bare = name.rsplit('\\').next().unwrap_or(name);
    let Some(cmdlet) = find(&cmdlets, bare) else { return Err(unknown(&cmdlets, bare)) };
    if let Some(why) = absent::why(&cmdlet.name) {
        return Err(absent::not_supported(&cmdlet.name, why));
    }
    let bound = match cmdlet.run {
        Run::Raw(run) => {
            return run(shell, elements, input.unwrap_or_default()).map_err(|error| named(cmdlet, error));
        }
        _ => bind::bind(shell, cmdlet, elements).map_err(|error| named(cmdlet, error))?,
    };
    with_common(shell, cmdlet, bound, input)
}

/// What the parameters of every cmdlet say: which errors and warnings are wanted, and which variables hold what came of it.
fn with_common(shell: &mut Shell<'_>, cmdlet: &Cmdlet, bound: Bound, input: Option<Vec<Value>>) -> Output {
    let said = |name| bound.text(name).unwrap_or_default().to_ascii_lowercase();
    let silent = |name| matches!(said(name).as_str(), "silentlycontinue" | "ignore" | "0");
    let (no_errors, no_warnings) = (silent("ErrorAction"), silent("WarningAction"));
    let stops = said("ErrorAction") == "stop";
    let (out, error) = (bound.text("OutVariable"), bound.text("ErrorVariable"));
    for name in ["WarningVariable", "InformationVariable", "PipelineVariable"] {
        if bound.get(name).is_some() {
            shell.warn(format!("-{name} has no effect here."));
        }
    }
    let was_quiet = shell.quiet;
    shell.quiet |= no_warnings;
    let done = carry_out(shell, cmdlet, bound, input, no_errors);
    shell.quiet = was_quiet;
    shell.stopping |= stops && done.is_err();
    if let (Some(name), Ok(values)) = (out, &done) {
        keep(shell, &name, values.clone());
    }
    if let (Some(name), Err(wrong)) = (error, &done) {
        keep(shell, &name, vec![wrong.text.as_str().into()]);
    }
    match done {
        Err(_) if no_errors => Ok(Vec::new()),
        done => done.map_err(|error| named(cmdlet, error)),
    }
}

/// `-OutVariable x`; `+x` adds to what it holds.
fn keep(shell: &mut Shell<'_>, name: &str, values: Vec<Value>) {
    let (name, mut held) = match name.strip_prefix('+') {
        Some(name) => {
            (name, shell.variables.get(&name.to_ascii_lowercase()).cloned().unwrap_or_default().into_items())
        }
        None => (name, Vec::new()),
    };
    held.extend(values);
    shell.variables.insert(name.to_ascii_lowercase(), Value::of_items(held));
}

/// The cmdlet of that name or alias.
pub(crate) fn find<'c>(cmdlets: &'c [Cmdlet], name: &str) -> Option<&'c Cmdlet> {
    cmdlets.iter().find(|cmdlet| {
        cmdlet.name.eq_ignore_ascii_case(name)
            || cmdlet.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    })
}

fn unknown(cmdlets: &[Cmdlet], name: &str) -> Error {
    if let Some(instead) = absent::instead(name) {
        let text = format!("{name}: no such cmdlet exists, in Lync neither; {instead} is what there is.");
        return Error::new(Fault::CommandNotFound, text);
    }
    if let Some(name) = documented::cmdlet(name) {
        return absent::not_supported(&name, "it has nothing of that kind; Get-Command lists what there is");
    }
    if let Some(name) = documented::of_powershell(name) {
        let text = format!(
            "{name} : is a cmdlet of PowerShell itself, not supported here; Get-Command lists what is."
        );
        return Error::new(Fault::NotSupported, text);
    }
    let names = cmdlets.iter().map(|cmdlet| cmdlet.name.as_str());
    let hint = match nearest(name, names) {
        Some(near) => format!(" Did you mean {near}?"),
        None => " Get-Command lists what there is.".to_owned(),
    };
    Error::new(Fault::CommandNotFound, format!("{name}: there is no such cmdlet.{hint}"))
}

fn named(cmdlet: &Cmdlet, error: Error) -> Error {
    let prefix = format!("{} : ", cmdlet.name);
    let is_named = error.text.split_once(" : ").is_some_and(|(name, _)| !name.contains(' '));
    if is_named { error } else { Error { text: format!("{prefix}{}", error.text), ..error } }
}

fn carry_out(
    shell: &mut Shell<'_>,
    cmdlet: &Cmdlet,
    bound: Bound,
    input: Option<Vec<Value>>,
    silent: bool,
) -> Result<Vec<Value>, Error> {
    match (cmdlet.run, input) {
        (Run::All(run), input) => run(&mut Call { shell, cmdlet, bound }, input.unwrap_or_default()),
        (Run::Each(run), None) => {
            bound.check_required(cmdlet)?;
            run(&mut Call { shell, cmdlet, bound })
        }
        (Run::Each(run), Some(items)) => {
            let stops = bound.text("ErrorAction").is_some_and(|said| said.eq_ignore_ascii_case("stop"));
            let mut values = Vec::new();
            for item in items {
                let done = bound.with_item(cmdlet, &item).and_then(|bound| {
                    bound.check_required(cmdlet)?;
                    run(&mut Call { shell: &mut *shell, cmdlet, bound })
                });
                match done {
                    Ok(found) => values.extend(found),
                    Err(_) if silent => {}
                    Err(error) if stops => return Err(error),
                    // The other objects have nothing to do with it.
                    Err(error) => shell.tell(&named(cmdlet, error)),
                }
            }
            Ok(values)
        }
        (Run::Raw(_), _) => Ok(Vec::new()),
    }
}
