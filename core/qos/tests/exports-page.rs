//! `docs/admin/exports.md` is made of the guides that every exported file carries. `BLESS=1` writes it anew.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
#![allow(clippy::disallowed_methods, reason = "what is expected lies in files")]

use std::path::Path;

use carillon_qos::Plan;
use carillon_qos::export::{File, Guide, Order, targets};
use carillon_qos::plan::Scope;

const HEAD: &str = "\
# Exports: one plan for every device

<!-- Made by core/qos/tests/exports-page.rs from what the exports say themselves: BLESS=1 cargo nextest run -p carillon-qos --test exports-page -->

## Overview

The plan, spelt for devices that know nothing of Carillon. Nothing else of Carillon has to be installed for that, and no
value is typed a second time: change the plan, export again, install again.

## Settings

None of its own. What is exported stands in the plan ([docs/plan.md](../plan.md)); a plan that is not in force is not exported.

## Commands

```sh
carillon plan export list                                  # the targets
carillon plan export all --plan plan.toml --out exports    # every target, and index.html with the guide of each file
carillon plan export nftables --plan plan.toml --site Oslo --out exports
carillon plan export firewall --plan plan.toml --between edge,conferencing --out exports   # what passes between these two
carillon plan check FILES --plan plan.toml                 # what is deployed, against the plan
```

## Events

None: an export changes nothing but files.

## Limits

What a device cannot do is said with its target below, and in the guide of each file. Nothing was tried on Windows, on a
phone, on a switch or in a browser's policy: other readers of these formats have read the files, and nftables, tc and the
firewall rules are loaded and measured.

Servers' ranges are as wide as the ports that any program may get. Routers and switches mark them only at the addresses in
`servers.networks` of the plan; without these, or where a device cannot name addresses, they are left out, and the file says
so in its first lines.

The files named here are those of the preset `lync-kloud`, which names no networks.

## Targets
";

#[test]
fn the_page_of_the_exports_says_what_their_guides_say() {
    let plan = Plan::preset("lync-kloud").unwrap();
    let order = Order { plan: &plan, scope: Scope::default() };
    let mut page = HEAD.to_owned();
    for target in targets() {
        page += &format!("\n### {}\n\n{}.\n\n", target.name, target.title);
        match (target.make)(&order) {
            Ok(files) => page += &section(&files),
            Err(unfit) => page += &format!("Not for this plan: {unfit}.\n"),
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/admin/exports.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(
        page == std::fs::read_to_string(&path).unwrap(),
        "{} is old: see its second line",
        path.display()
    );
}

/// A step that names another file, or another system, sends people the wrong way.
#[test]
fn every_file_stands_above_its_own_steps() {
    let plan = Plan::preset("lync-kloud").unwrap();
    let order = Order { plan: &plan, scope: Scope::default() };
    for target in targets() {
        let Ok(files) = (target.make)(&order) else { continue };
        let text = section(&files);
        let blocks: Vec<&str> = text.split("\n**").collect();
        for (file, guide) in files.iter().filter_map(|file| Some((file, file.guide.as_ref()?))) {
            let heading = format!("`{}`", file.path);
            let of_file = |block: &&&str| block.lines().next().unwrap().contains(&heading);
            let block = if blocks.len() == 1 { blocks[0] } else { blocks[1..].iter().find(of_file).unwrap() };
            for step in [&guide.install, &guide.roll_back, &guide.check, &guide.limits].into_iter().flatten()
            {
                assert!(block.contains(&format!("- {step}\n")), "{}: {step}", file.path);
            }
        }
    }
}

/// The files, then the steps: once for all files that have the same.
fn section(files: &[File]) -> String {
    let mut text = "| file | what for |\n|--|--|\n".to_owned();
    let mut kinds: Vec<(Vec<&str>, &Guide)> = Vec::new();
    for (file, guide) in files.iter().filter_map(|file| Some((file, file.guide.as_ref()?))) {
        text += &format!("| `{}` | {} |\n", file.path, guide.purpose.replace('|', "\\|"));
        match kinds.iter_mut().find(|(_, kind)| same_steps(kind, guide)) {
            Some((paths, _)) => paths.push(&file.path),
            None => kinds.push((vec![&file.path], guide)),
        }
    }
    let several = kinds.len() > 1;
    for (paths, guide) in kinds {
        if several {
            let paths: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
            text += &format!("\n**{}**\n", paths.join(", "));
        }
        text += &steps("Install", &guide.install);
        text += &steps("Roll back", &guide.roll_back);
        text += &steps("Check", &guide.check);
        text += &steps("Limits", &guide.limits);
    }
    text
}

/// Whether two files are handled alike, to the letter: who reads a step must not have to guess for which file it is.
fn same_steps(a: &Guide, b: &Guide) -> bool {
    let steps = |guide: &Guide| Guide { purpose: String::new(), ..guide.clone() };
    steps(a) == steps(b)
}

fn steps(title: &str, steps: &[String]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let lines: String = steps.iter().map(|step| format!("- {step}\n")).collect();
    format!("\n{title}:\n\n{lines}")
}
