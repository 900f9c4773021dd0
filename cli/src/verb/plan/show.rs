//! `carillon plan show`: what a plan means, as tables, as JSON, or as a file to edit.

use std::io::{self, Write};

use carillon_qos::plan::show::{PlanView, RoleView, Row};
use carillon_qos::plan::{EdgeExternal, Explained, Origin, Scope};
use carillon_qos::{Plan, PortRange, Role, TrafficClass};
use serde::Serialize;

use crate::answer::{Answer, Failure};
use crate::args::Show;
use crate::plans;
use crate::style::{DOUBT, FAINT, GOOD, NAME, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;
use crate::words::clean;

/// Shows a plan.
pub(super) fn run(args: &Show, out: &mut dyn Write) -> Result<Answer, Failure> {
    let plan = plans::load(&args.plan)?;
    let scope = plans::scope(&plan, &args.scope)?;
    match (args.toml, args.explain, args.json) {
        (true, ..) => out.write_all(plan.to_toml().as_bytes())?,
        (_, true, true) => return print_json(&explained(&plan, &scope)),
        (_, true, false) => print_explained(&explained(&plan, &scope), out)?,
        (_, _, true) => return print_json(&plan.view(&scope)),
        _ => print_view(&plan, &plan.view(&scope), out)?,
    }
    Ok(Answer::Yes)
}

/// Who decided about one class of one role.
#[derive(Serialize)]
struct ExplainedClass {
    role: Role,
    class: TrafficClass,
    keys: Vec<Explained>,
}

fn explained(plan: &Plan, scope: &Scope) -> Vec<ExplainedClass> {
    let view = plan.view(scope);
    let roles = view.roles.iter().map(|role| role.role);
    roles
        .flat_map(|role| TrafficClass::ALL.map(|class| (role, class)))
        .map(|(role, class)| ExplainedClass { role, class, keys: plan.explain(role, class, scope) })
        .collect()
}

fn print_explained(classes: &[ExplainedClass], out: &mut dyn Write) -> io::Result<()> {
    for ExplainedClass { role, class, keys } in classes {
        for Explained { key, effective, chain } in keys.iter().filter(|explained| !explained.chain.is_empty())
        {
            writeln!(out, "{STRONG}{role} {class} {key}{STRONG:#}: {GOOD}{}{GOOD:#}", clean(effective))?;
            for said in chain {
                let (mark, style) = if said.wins { ("wins", NAME) } else { ("overruled", FAINT) };
                let origin = origin(&said.origin);
                writeln!(
                    out,
                    "  {style}{mark:<10}{} = {}{style:#}  {FAINT}{origin}{FAINT:#}",
                    clean(&said.path),
                    clean(&said.value)
                )?;
            }
        }
    }
    Ok(())
}

fn print_view(plan: &Plan, view: &PlanView, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{STRONG}{}{STRONG:#}  {}", clean(&view.name), clean(&view.title))?;
    if let Some(base) = view.base.as_deref().filter(|base| *base != view.name) {
        writeln!(out, "{FAINT}inherits from {}{FAINT:#}", clean(base))?;
    }
    if !view.enabled {
        writeln!(out, "{DOUBT}not in force:{DOUBT:#} nobody marks, and clients use any port from 1024 on")?;
    }
    for role in &view.roles {
        print_role(role, out)?;
    }
    print_rest(plan, view, out)
}

fn print_role(view: &RoleView, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{STRONG}{}{STRONG:#}", view.role)?;
    let mut table = Table::new([
        Column::left("CLASS"),
        Column::left("MARK"),
        Column::right("DSCP"),
        Column::right("START"),
        Column::right("COUNT"),
        Column::right("END"),
        Column::right("CALLS").spare(2),
        Column::right("WITHOUT MUX").spare(3),
        Column::left("FROM").spare(4),
    ]);
    view.rows.iter().for_each(|row| table.row(cells(row)));
    table.print(out, terminal_width())?;
    let firewall = &view.firewall;
    if !firewall.ranges.is_empty() {
        let shape = if firewall.contiguous { "one range" } else { "several ranges" };
        writeln!(out, "firewall: {} ({} ports, {shape})", ranges(&firewall.ranges), firewall.ports)?;
    }
    if let Some(legacy) = view.legacy {
        writeln!(out, "old clients: {legacy} for all media")?;
    }
    Ok(())
}

fn cells(row: &Row) -> [Cell; 9] {
    let number = |number: Option<u32>| number.map_or(String::new(), |number| number.to_string());
    let end = match (row.ports, row.documented_end) {
        (Some(ports), Some(documented)) => format!("{} (documents: {documented})", ports.end()),
        (Some(ports), None) => ports.end().to_string(),
        (None, _) => String::new(),
    };
    let origins = [&row.ports_origin, &row.mark_origin];
    let set = origins.iter().any(|origin| matches!(origin, Origin::Set { .. }));
    let from = if set { "set" } else { "default" };
    [
        row.class.name().into(),
        Cell::styled(if row.dscp == 0 { "unmarked" } else { &row.mark }, NAME),
        row.dscp.to_string().into(),
        row.ports.map_or(String::new(), |ports| ports.start().to_string()).into(),
        row.ports.map_or(String::new(), |ports| ports.count().to_string()).into(),
        end.into(),
        number(row.sessions_with_mux).into(),
        number(row.sessions_without_mux).into(),
        Cell::styled(from, FAINT),
    ]
}

fn print_rest(plan: &Plan, view: &PlanView, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nsignaling: TCP {}", ranges(&view.signaling))?;
    if let Some(ports) = view.edge.ports {
        let inside = if view.edge.mark_internal { "marks" } else { "does not mark" };
        let outside = match view.edge.external {
            EdgeExternal::None => "no marks",
            _ => "marks",
        };
        writeln!(
            out,
            "edge: relays on {ports}; {inside} towards the inside; {outside} towards the Internet"
        )?;
    }
    for family in &view.phones {
        writeln!(out, "phones: {}", clean(family.name))?;
    }
    if !view.executables.is_empty() {
        writeln!(out, "programs: {}", clean(&view.executables.join(", ")))?;
    }
    if let Some(inside) = view.clients_inside_servers {
        let inside = if inside { "yes" } else { "no" };
        writeln!(out, "client ranges inside the servers' ranges: {inside}")?;
    }
    let named = |what: &str, names: Vec<&str>| match names.as_slice() {
        [] => String::new(),
        names => format!("{what}: {} (--{what} NAME shows its values)\n", clean(&names.join(", "))),
    };
    write!(out, "{}", named("site", plan.sites().collect()))?;
    write!(out, "{}", named("service", plan.services().collect()))
}

fn ranges(ranges: &[PortRange]) -> String {
    ranges.iter().map(PortRange::to_string).collect::<Vec<_>>().join(", ")
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Default { source } => format!("default: {}", clean(source)),
        Origin::Set { line: 0, source, .. } => source.as_deref().map_or(String::new(), clean),
        Origin::Set { line, source: None, .. } => format!("line {line}"),
        Origin::Set { line, source: Some(source), .. } => format!("line {line}: {}", clean(source)),
    }
}
