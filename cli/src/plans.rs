//! Plans and queue maps as named on the command line: a preset, or a file.

use std::fs;
use std::path::Path;

use carillon_qos::Plan;
use carillon_qos::plan::{PRESETS, QueueMap, Scope, nearest};

use crate::answer::Failure;
use crate::args::ScopeArgs;

/// The plan of that name, or in that file. A refused plan comes back with all reasons.
pub fn load(name: &str) -> Result<Plan, Failure> {
    if let Some(plan) = Plan::preset(name) {
        return Ok(plan);
    }
    let text = read(name, "plan", PRESETS.iter().map(|preset| preset.name))?;
    Plan::from_toml(&text).map_err(|problems| {
        let reasons: Vec<String> = problems.iter().map(|problem| format!("\n{problem}")).collect();
        Failure::Message(format!("plan `{name}` is refused:{}", reasons.concat()))
    })
}

/// The queue map of that name, or in that file.
pub fn load_queues(name: &str) -> Result<QueueMap, Failure> {
    if let Some(map) = QueueMap::preset(name) {
        return Ok(map);
    }
    let text = read(name, "queue map", QueueMap::PRESETS)?;
    QueueMap::from_list(&text)
        .map_err(|wrong| Failure::Message(format!("queue map `{name}` is refused:\n{}", wrong.join("\n"))))
}

/// The scope, if the plan has such a site and service.
pub fn scope(plan: &Plan, args: &ScopeArgs) -> Result<Scope, Failure> {
    known("site", args.site.as_deref(), plan.sites().collect(), plan)?;
    known("service", args.service.as_deref(), plan.services().collect(), plan)?;
    Ok(Scope { site: args.site.clone(), service: args.service.clone() })
}

fn known(kind: &str, asked: Option<&str>, names: Vec<&str>, plan: &Plan) -> Result<(), Failure> {
    let Some(asked) = asked.filter(|asked| !names.contains(asked)) else { return Ok(()) };
    let hint = match names.as_slice() {
        [] => format!("it names no {kind}"),
        names => format!("it names {}", names.join(", ")),
    };
    Err(Failure::new(format!("plan `{}` has no {kind} `{asked}`", plan.name()), hint))
}

fn read<'a>(
    name: &str,
    what: &str,
    presets: impl IntoIterator<Item = &'a str> + Clone,
) -> Result<String, Failure> {
    fs::read_to_string(name).map_err(|error| {
        // A name without a dot or a slash was meant as a preset.
        if name.contains(['.', '/']) || Path::new(name).exists() {
            return Failure::new(format!("cannot read the {what} `{name}`"), error);
        }
        let hint = match nearest(name, presets.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("presets are {}", presets.into_iter().collect::<Vec<_>>().join(", ")),
        };
        Failure::new(format!("there is neither a preset nor a file `{name}`"), hint)
    })
}
