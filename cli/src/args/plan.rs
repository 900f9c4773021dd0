//! The flags of `carillon plan`.

use std::path::PathBuf;

use carillon_qos::Role;
use carillon_qos::export::Zone;
use clap::{Args, Subcommand, ValueHint};

use super::ScopeArgs;

/// `carillon plan`.
#[derive(Subcommand, Debug)]
pub enum Plan {
    /// List the plans that Carillon brings along.
    Presets {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a plan means: ranges and marks of every role and class.
    Show(Show),
    /// Check plans; exit status 1 if one has an error.
    Lint {
        /// Preset names or files.
        #[arg(value_name = "PRESET|FILE", required = true, value_hint = ValueHint::FilePath)]
        plans: Vec<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write what each device has to be told, from the plan, with a page that says how.
    Export(Export),
    /// Make a plan of what is deployed.
    Import(Import),
    /// Compare what is deployed with the plan; exit status 1 if they differ.
    Check(Check),
    /// What a call costs by its codec, and how many calls the links of a plan bear.
    Bandwidth {
        /// The plan with its links: a preset name or a file.
        #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
        plan: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare two plans; exit status 1 if they differ.
    Diff {
        /// The plan before: a preset name or a file.
        #[arg(value_name = "A", value_hint = ValueHint::FilePath)]
        before: String,
        /// The plan after: a preset name or a file.
        #[arg(value_name = "B", value_hint = ValueHint::FilePath)]
        after: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `carillon plan show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The name of a preset, or a file.
    #[arg(value_name = "PRESET|FILE", value_hint = ValueHint::FilePath)]
    pub plan: String,
    /// Print the plan as a file to edit.
    #[arg(long, conflicts_with_all = ["json", "explain", "site", "service"])]
    pub toml: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Whose values to show.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Say for every value which scope it comes from, and why that one wins.
    #[arg(long)]
    pub explain: bool,
}

/// `carillon plan export`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  carillon plan export list
  carillon plan export all --plan head-office.toml --out export
  carillon plan export windows-pol --plan schertz-vvx --site Redmond
  carillon plan export windows-reg --plan schertz-vvx --only client --out - > client.reg")]
pub struct Export {
    /// What to make: a target, `all`, or `list` to see them.
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// The plan: the name of a preset, or a file [default for `firewall`: schertz-vvx].
    #[arg(long, value_name = "PRESET|FILE", value_hint = ValueHint::FilePath)]
    pub plan: Option<String>,
    /// Where to write: a folder, or `-` to print a target that is a single file [default: carillon-PLAN].
    #[arg(long, value_name = "DIR|-", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// For `firewall`: only what passes between these two roles, `edge,conferencing` or `client,internet`.
    #[arg(long, value_name = "ROLE,ROLE", value_parser = zones)]
    pub between: Option<Between>,
    /// Only the files with this in their path: `client`, `.reg`.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Whose values to write.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Print JSON: the files written, and what to do with each.
    #[arg(long)]
    pub json: bool,
}

/// `carillon plan import`.
#[derive(Args, Debug)]
pub struct Import {
    /// Files of any known spelling: `.reg`, `Registry.pol`, listings, phone and switch configurations.
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Where to write the plan [default: standard output].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Print what each file says as JSON instead of a plan.
    #[arg(long, conflicts_with = "out")]
    pub json: bool,
}

/// `carillon plan check`.
#[derive(Args, Debug)]
pub struct Check {
    /// Files of any known spelling: `.reg`, `Registry.pol`, listings, phone and switch configurations.
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// The plan: the name of a preset, or a file.
    #[arg(long, value_name = "PRESET|FILE", value_hint = ValueHint::FilePath)]
    pub plan: String,
    /// The role of the hosts that the files come from, where it cannot be told from them.
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub role: Option<Role>,
    /// Whose values to compare with.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
        format!("there is no role `{text}`; roles are {}", names.join(", "))
    })
}

/// The two ends of `--between`.
#[derive(Clone, Copy, Debug)]
pub struct Between(pub [Zone; 2]);

fn zones(text: &str) -> Result<Between, String> {
    Zone::pair(text).map(Between)
}
