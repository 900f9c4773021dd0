//! `carillon verify`: judges captures against a plan.

mod live;
mod progress;
mod terminal;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::thread;

use carillon_net::capture;
use carillon_qos::plan::Scope;
use carillon_qos::verify::report::{Report, Verdict};
use carillon_qos::verify::{Limits, Options};
use carillon_qos::{Plan, Role, TrafficClass};

use self::progress::Bar;
use crate::answer::{Answer, Failure};
use crate::args::Verify;
use crate::page::{self, Band};
use crate::pipeline::{self, Input, Observed};
use crate::plans;
use crate::table::terminal_width;
use crate::verb::print_json;

/// Judges, prints, answers.
pub fn run(args: Verify, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut options = options(&args)?;
    let limits = Limits {
        flows: args.limit_flows.map_or(Limits::default().flows, |flows| flows as usize),
        ..Limits::default()
    };
    let Observed { verifier, damaged } = match &args.live {
        Some(interface) => {
            options.files = vec![interface.clone()];
            live::observe(interface, args.duration, cores(&args), limits)?
        }
        None => read(&args, &mut options, limits)?,
    };
    options.damaged = damaged;
    let report = verifier.report(&options);
    if let Some(path) = &args.html {
        write_page(path, &report, &options)?;
    }
    if args.json {
        print_json(&report)?;
    } else {
        terminal::print(&report, terminal::Layout { width: terminal_width(), all: args.all }, out)?;
    }
    Ok(match report.verdict {
        Verdict::Pass => Answer::Yes,
        Verdict::Fail => Answer::No,
        Verdict::Unjudged => Answer::Unknown,
    })
}

fn options(args: &Verify) -> Result<Options, Failure> {
    let plan = args.plan.as_deref().map(plans::load).transpose()?;
    let scope = match &plan {
        Some(plan) => plans::scope(plan, &args.scope)?,
        None if args.scope.site.is_some() || args.scope.service.is_some() => {
            return Err(Failure::Message("--site and --service need --plan".to_owned()));
        }
        None => Scope::default(),
    };
    let mut roles = args.roles.clone();
    // The verifier takes the first that holds an address; the longest prefix is the most exact word.
    roles.sort_by_key(|assignment| std::cmp::Reverse(assignment.prefix));
    let queues = args.queue_map.as_deref().map(plans::load_queues).transpose()?;
    Ok(Options { plan, scope, roles, queues, strict: args.strict, ..Options::default() })
}

fn cores(args: &Verify) -> usize {
    args.cores.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from).min(16)
}

fn read(args: &Verify, options: &mut Options, limits: Limits) -> Result<Observed, Failure> {
    let (mut inputs, mut lengths) = (Vec::new(), Vec::new());
    let mut bar = Bar::default();
    for path in args.files.iter().chain(&args.between) {
        let source = capture::open(path).map_err(|error| Failure::Message(error.to_string()))?;
        bar.add(source.length, source.position);
        let name = if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() };
        options.files.push(name.clone());
        let plain = source.length.filter(|_| !source.compressed && path.as_os_str() != "-");
        lengths.extend(plain.map(|length| (path, length)));
        inputs.push(Input {
            name,
            reader: Box::new(source.reader.take(plain.unwrap_or(u64::MAX))),
            live: false,
        });
    }
    bar.show();
    let cores = cores(args);
    if lengths.len() < inputs.len() {
        return pipeline::observe(inputs, cores, limits, &bar);
    }
    let mut copies = vec![inputs];
    for _ in 1..cores {
        copies.push(lengths.iter().map(|&(path, length)| copy(path, length)).collect::<Result<_, _>>()?);
    }
    pipeline::observe_copies(copies, limits, &bar)
}

/// The same file once more. A file that still grows has one length for all workers.
fn copy(path: &Path, length: u64) -> Result<Input, Failure> {
    let source = capture::open(path).map_err(|error| Failure::Message(error.to_string()))?;
    Ok(Input { name: path.display().to_string(), reader: Box::new(source.reader.take(length)), live: false })
}

/// Writes the report as one HTML file.
pub(super) fn write_page(path: &Path, report: &Report, options: &Options) -> Result<(), Failure> {
    let plan = options.plan.as_ref();
    let best = report.fit.first().filter(|best| best.score > 0.0).and_then(|best| Plan::preset(&best.plan));
    let drawn = plan.or(best.as_ref());
    let context = page::Context {
        plan_title: plan.map(|plan| plan.title().to_owned()),
        plan_text: plan.map(Plan::to_toml),
        bands_of: drawn.map(|plan| plan.name().to_owned()),
        bands: drawn.map_or(Vec::new(), |plan| bands(plan, &options.scope)),
    };
    fs::write(path, page::render(report, &context))
        .map_err(|error| Failure::new(format!("cannot write `{}`", path.display()), error))
}

/// The ranges of the plan; roles with the same one share a band.
fn bands(plan: &Plan, scope: &Scope) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for role in Role::ALL {
        let policy = plan.policy(role, scope);
        for class in TrafficClass::ALL {
            let Some(range) = policy.ports(class) else { continue };
            match bands.iter_mut().find(|band| (band.class, band.range) == (class, range)) {
                Some(band) => band.roles.push(role),
                None => bands.push(Band { class, roles: vec![role], range }),
            }
        }
    }
    bands
}
