//! What the cmdlet references name: every `Cs` cmdlet, and the parameters of those that Carillon answers. So what is
//! documented and has no effect here is told apart from what was mistyped.

use super::{Parameter, Takes};

/// `Noun Verb Verb …`, without `Cs`; Lync Server 2013 to Skype for Business Server 2019, and Teams.
const CMDLETS: &str = include_str!("documented-cmdlets.txt");
/// `Verb-Noun Parameter Switch! …`
const PARAMETERS: &str = include_str!("documented-parameters.txt");

/// What PowerShell itself brings, a cmdlet or alias a word.
const POWERSHELL: &str = include_str!("powershell-cmdlets.txt");

/// Parameters that choose what is acted on, by something that Carillon doesn't have: to pass over one would act on more.
const CHOOSING: [(&str, &str); 5] = [
    ("OU", "there are no organizational units; -Filter and -Identity choose users"),
    ("LdapFilter", "there is no directory; -Filter and -Identity choose users"),
    ("Credential", "the shell acts as who has started it"),
    ("CimSession", "only this plan is acted on; start the shell where the other one is"),
    ("AsBytes", "the plan is a text file; -FileName writes it"),
];

/// What a documented parameter does here that no cmdlet of Carillon has.
pub(super) enum Documented {
    /// Nothing.
    Idle(Parameter),
    /// It would choose, so it is refused, for this reason.
    Refused(&'static str),
}

/// The documented cmdlet of that name, as it is spelled.
pub(super) fn cmdlet(name: &str) -> Option<String> {
    let (verb, noun) = name.split_once('-')?;
    let noun = noun.get(..2).filter(|cs| cs.eq_ignore_ascii_case("cs")).and(noun.get(2..))?;
    let mut rows = CMDLETS.lines().map(|line| line.split(' '));
    rows.find_map(|mut row| {
        let known = row.next().filter(|known| known.eq_ignore_ascii_case(noun))?;
        let verb = row.find(|known| known.eq_ignore_ascii_case(verb))?;
        Some(format!("{verb}-Cs{known}"))
    })
}

/// The name of a cmdlet, or alias, of PowerShell itself.
pub(super) fn of_powershell(name: &str) -> Option<&'static str> {
    POWERSHELL.split_whitespace().find(|known| known.eq_ignore_ascii_case(name))
}

/// The documented parameters of a cmdlet.
pub(super) fn parameters(cmdlet: &str) -> impl Iterator<Item = Parameter> {
    let row = PARAMETERS.lines().find_map(|line| line.strip_prefix(cmdlet)?.strip_prefix(' '));
    row.into_iter().flat_map(|row| row.split(' ')).map(|word| match word.strip_suffix('!') {
        Some(name) => Parameter::switch(name),
        None => Parameter::new(word, Takes::Any),
    })
}

/// What one of them does.
pub(super) fn effect(parameter: Parameter) -> Documented {
    let why = CHOOSING.iter().find(|(name, _)| *name == parameter.name).map(|(_, why)| *why);
    why.map_or(Documented::Idle(parameter), Documented::Refused)
}
