//! `carillon plan export`: the plan in every device's own spelling, in a folder with a page that says what to do.
//!
//! A folder that this verb has made before is renewed: files that no longer belong to it go. Nothing else is touched.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use carillon_qos::Plan;
use carillon_qos::export::{File, Guide, Order, Target, Zone, firewall_between, targets};
use carillon_qos::plan::{PRESETS, Scope, nearest};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Failure};
use crate::args::{Between, Export};
use crate::page::exports::{self, Made};
use crate::plans;
use crate::style::{DOUBT, FAINT, GOOD, NAME};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;
use crate::words::{clean, some};

/// What a folder holds, for programs, and for the next export into it.
const MANIFEST: &str = "manifest.json";
const INDEX: &str = "index.html";

/// Exports.
pub(super) fn run(args: &Export, out: &mut dyn Write) -> Result<Answer, Failure> {
    if args.target == "list" {
        return list(args.json, out);
    }
    let chosen = chosen(&args.target)?;
    let plan = plan(args)?;
    let scope = plans::scope(&plan, &args.scope)?;
    let every_site = args.target == "all" && scope == Scope::default();
    let mut made = match &args.between {
        Some(Between(zones)) => vec![between(&plan, &scope, &chosen, *zones)?],
        None => make(&plan, &scope, &chosen, every_site),
    };
    if let Some(only) = &args.only {
        made.iter_mut().for_each(|made| made.retain(only));
    }
    if let ([Made { result: Err(reason), .. }], false) = (made.as_slice(), args.target == "all") {
        return Err(Failure::new(
            format!("plan `{}` cannot be exported to {}", plan.name(), args.target),
            reason,
        ));
    }
    if args.out.as_deref() == Some(Path::new("-")) {
        return print_file(&made);
    }
    let folder =
        args.out.clone().unwrap_or_else(|| PathBuf::from(format!("carillon-{}", plain(plan.name()))));
    let manifest = Manifest::of(&plan, &scope, &made);
    write_folder(&folder, &plan, &made, &manifest)?;
    if args.json {
        return print_json(&manifest);
    }
    if args.plan.is_none() {
        let text = "no plan was named; these are the ports of the preset";
        writeln!(out, "{DOUBT}{text} {FIREWALL_PRESET}{DOUBT:#}, --plan takes another")?;
    }
    print_made(&folder, &made, out)?;
    Ok(Answer::Yes)
}

fn list(json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    if json {
        let all: Vec<_> = targets()
            .map(|target| serde_json::json!({ "name": target.name, "title": target.title }))
            .collect();
        return print_json(&all);
    }
    let mut table = Table::new([Column::left("TARGET"), Column::left("WHAT IT MAKES")]);
    targets().for_each(|target| table.row([Cell::styled(target.name, NAME), target.title.into()]));
    table.print(out, terminal_width())?;
    Ok(Answer::Yes)
}

fn chosen(name: &str) -> Result<Vec<&'static Target>, Failure> {
    if name == "all" {
        return Ok(targets().collect());
    }
    let names = || targets().map(|target| target.name);
    Target::named(name).map(|target| vec![target]).ok_or_else(|| {
        let hint = match nearest(name, names().collect::<Vec<_>>()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("targets are all, {}", names().collect::<Vec<_>>().join(", ")),
        };
        Failure::new(format!("there is no target `{}`", clean(name)), hint)
    })
}

/// The target that has two ends.
const FIREWALL: &str = "firewall";

/// The plan of firewall rules where none is named: a request for a firewall is asked for before there is a plan, and by
/// this article's plan clients need no more than 100 ports.
const FIREWALL_PRESET: &str = "schertz-vvx";

fn plan(args: &Export) -> Result<Plan, Failure> {
    let default = (args.target == FIREWALL).then(|| FIREWALL_PRESET.to_owned());
    let Some(name) = args.plan.as_ref().or(default.as_ref()) else {
        let presets: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        let hint = format!("name one with --plan: a file, or a preset ({})", presets.join(", "));
        return Err(Failure::new("cannot export without a plan", hint));
    };
    plans::load(name)
}

/// The targets' files for this scope, and those of every site that differs, each in a folder of its own.
fn make(plan: &Plan, scope: &Scope, chosen: &[&'static Target], every_site: bool) -> Vec<Made> {
    let mut made = of_scope(plan, scope, chosen, None);
    let mut taken = BTreeSet::new();
    for site in plan.sites().filter(|_| every_site) {
        let scope = Scope { site: Some(site.to_owned()), service: None };
        made.extend(of_scope(plan, &scope, chosen, Some((site, &site_folder(site, &mut taken)))));
    }
    made
}

/// The firewall's rules between two roles; no other target knows of two ends.
fn between(
    plan: &Plan,
    scope: &Scope,
    chosen: &[&'static Target],
    zones: [Zone; 2],
) -> Result<Made, Failure> {
    let [target] = chosen else { return Err(only_firewalls()) };
    if target.name != FIREWALL {
        return Err(only_firewalls());
    }
    let order = Order { plan, scope: scope.clone() };
    let result = firewall_between(&order, zones).map_err(|unfit| unfit.to_string());
    Ok(Made { target, site: String::new(), result })
}

fn only_firewalls() -> Failure {
    Failure::new(
        "--between is for one target",
        format!("carillon plan export {FIREWALL} --between ROLE,ROLE"),
    )
}

/// A folder that no other site has, also where capitals make no difference.
fn site_folder(site: &str, taken: &mut BTreeSet<String>) -> String {
    let base = format!("site-{}", plain(site));
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let mut free = std::iter::once(base.clone()).chain(numbered);
    free.find(|folder| taken.insert(folder.to_lowercase())).unwrap_or(base)
}

fn of_scope(plan: &Plan, scope: &Scope, chosen: &[&'static Target], site: Option<(&str, &str)>) -> Vec<Made> {
    let order = Order { plan, scope: scope.clone() };
    let folder = |file: File| match site {
        None => file,
        Some((_, folder)) => File { path: format!("{folder}/{}", file.path), ..file },
    };
    let of_target = |target: &&'static Target| {
        let files = (target.make)(&order).map(|files| files.into_iter().map(folder).collect());
        Made {
            target,
            site: site.map_or("", |(site, _)| site).to_owned(),
            result: files.map_err(|unfit| unfit.to_string()),
        }
    };
    chosen.iter().map(of_target).collect()
}

/// A name as part of a path: what is not plain becomes `-`.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    name.chars().take(64).map(plain).collect()
}

/// Prints the only file that was made.
fn print_file(made: &[Made]) -> Result<Answer, Failure> {
    let files: Vec<&File> = made.iter().flat_map(Made::files).collect();
    let [file] = files.as_slice() else {
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let hint = format!("choose one with --only: {}", names.join(", "));
        return Err(Failure::new(format!("cannot print {} files at once", files.len()), hint));
    };
    let mut out = io::stdout().lock();
    out.write_all(&file.bytes)?;
    out.flush()?;
    Ok(Answer::Yes)
}

/// The manifest of a folder.
#[derive(Serialize)]
struct Manifest {
    plan: String,
    site: Option<String>,
    service: Option<String>,
    files: Vec<Entry>,
    /// Targets without files, and why.
    without: Vec<Without>,
}

#[derive(Serialize)]
struct Entry {
    path: String,
    target: &'static str,
    bytes: usize,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    guide: Option<Guide>,
}

#[derive(Serialize)]
struct Without {
    target: &'static str,
    site: String,
    reason: String,
}

impl Manifest {
    fn of(plan: &Plan, scope: &Scope, made: &[Made]) -> Manifest {
        let (mut files, mut without) = (Vec::new(), Vec::new());
        for Made { target, site, result } in made {
            match result {
                Ok(of_target) => files.extend(of_target.iter().map(|file| Entry {
                    path: file.path.clone(),
                    target: target.name,
                    bytes: file.bytes.len(),
                    guide: file.guide.clone(),
                })),
                Err(reason) => {
                    without.push(Without { target: target.name, site: site.clone(), reason: reason.clone() });
                }
            }
        }
        let (site, service) = (scope.site.clone(), scope.service.clone());
        Manifest { plan: plan.name().to_owned(), site, service, files, without }
    }
}

/// What an earlier export left in the folder.
#[derive(Deserialize)]
struct Earlier {
    files: Vec<EarlierFile>,
}

#[derive(Deserialize)]
struct EarlierFile {
    path: String,
}

fn write_folder(folder: &Path, plan: &Plan, made: &[Made], manifest: &Manifest) -> Result<(), Failure> {
    let failed =
        |path: &Path, error: io::Error| Failure::new(format!("cannot write `{}`", path.display()), error);
    let earlier = earlier(folder)?;
    let files: Vec<&File> = made.iter().flat_map(Made::files).collect();
    for file in &files {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        fs::write(&path, &file.bytes).map_err(|error| failed(&path, error))?;
    }
    let now: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for stale in earlier.iter().filter(|path| !now.contains(path.as_str())) {
        let path = folder.join(stale);
        fs::remove_file(&path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(Failure::new(format!("cannot remove `{}` of an earlier export", path.display()), error)),
        })?;
        // Folders go with their last file; one that holds something else stays.
        let inside = path.ancestors().skip(1).take_while(|parent| *parent != folder);
        inside.take_while(|parent| fs::remove_dir(parent).is_ok()).count();
    }
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let text = serde_json::to_string_pretty(manifest)?;
    fs::write(folder.join(MANIFEST), text).map_err(|error| failed(&folder.join(MANIFEST), error))?;
    let page = exports::render(plan, made);
    fs::write(folder.join(INDEX), page).map_err(|error| failed(&folder.join(INDEX), error))
}

/// The files that an earlier export wrote into the folder. A folder with other things in it is not ours to fill.
fn earlier(folder: &Path) -> Result<Vec<String>, Failure> {
    let occupied = || {
        let hint = "it is not empty and holds no earlier export; name another folder with --out";
        Failure::new(format!("cannot export into `{}`", folder.display()), hint)
    };
    let empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(folder.join(MANIFEST)).map_err(|_| occupied())?;
    let earlier: Earlier = serde_json::from_str(&text).map_err(|_| occupied())?;
    let inside = |path: &String| {
        Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)))
    };
    Ok(earlier.files.into_iter().map(|file| file.path).filter(inside).collect())
}

fn print_made(folder: &Path, made: &[Made], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new([Column::left("FILE"), Column::left("WHAT IT IS FOR")]);
    for file in made.iter().flat_map(Made::files) {
        if let Some(guide) = &file.guide {
            table.row([Cell::styled(clean(&file.path), NAME), clean(&guide.purpose).into()]);
        }
    }
    table.print(out, terminal_width())?;
    for Made { target, site, result } in made {
        if let Err(reason) = result {
            let of = if site.is_empty() { String::new() } else { format!(" of site {}", clean(site)) };
            writeln!(out, "{DOUBT}nothing for {}{of}{DOUBT:#}: {}", target.name, clean(reason))?;
        }
    }
    let files = made.iter().flat_map(Made::files).count() as u64;
    let index = folder.join(INDEX);
    writeln!(
        out,
        "{GOOD}{}{GOOD:#} {FAINT}how to use them: {}{FAINT:#}",
        some(files, "file", "files"),
        index.display()
    )
}
