//! Flags of `carillon records`.

use std::time::{SystemTime, UNIX_EPOCH};

use carillon_qos::trust::day;
use carillon_signaling::records::Ending;
use clap::{Args, Subcommand};

use super::Reach;

/// `carillon records`.
#[derive(Subcommand, Debug)]
pub enum Records {
    /// List the legs of calls, the newest first.
    #[command(after_help = "\
Examples:
  carillon records list --since 1d
  carillon records list --ending busy --user alice@example.com
  carillon records list --json")]
    List(RecordsList),
    /// Print all records that are asked for, the newest first.
    #[command(after_help = "\
In CSV, what a spreadsheet would take for a formula has an apostrophe before it.

Examples:
  carillon records export --csv --since 2026-11-01 --until 2026-12-01 > november.csv
  carillon records export --json --ending media-failed")]
    Export(RecordsExport),
    /// Say how calls ended, and how many of those between two sites took a relay.
    Summary(RecordsSummary),
}

/// Which records.
#[derive(Args, Clone, Debug)]
pub struct RecordsFilter {
    /// Calls that began then or later: a day such as 2026-11-22 (UTC), or 30m, 12h, 7d ago.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<u64>,
    /// Calls that began before.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<u64>,
    /// Calls that ended so, or are open.
    #[arg(long, value_name = "WORD", value_parser = ending)]
    pub ending: Option<String>,
    /// Calls of this user, in either direction, as records show it.
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// This call.
    #[arg(long, value_name = "NUMBER")]
    pub call: Option<u64>,
}

/// `carillon records list`.
#[derive(Args, Debug)]
pub struct RecordsList {
    /// Which.
    #[command(flatten)]
    pub filter: RecordsFilter,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub limit: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which server.
    #[command(flatten)]
    pub server: Reach,
}

/// `carillon records export`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("format").required(true).args(["csv", "json"]))]
pub struct RecordsExport {
    /// Which.
    #[command(flatten)]
    pub filter: RecordsFilter,
    /// Print CSV.
    #[arg(long)]
    pub csv: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which server.
    #[command(flatten)]
    pub server: Reach,
}

/// `carillon records summary`.
#[derive(Args, Debug)]
pub struct RecordsSummary {
    /// Which.
    #[command(flatten)]
    pub filter: RecordsFilter,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which server.
    #[command(flatten)]
    pub server: Reach,
}

/// Seconds since the Unix epoch.
fn time(text: &str) -> Result<u64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    moment(text, now).ok_or_else(|| "write a day such as 2026-11-22, or 30m, 12h or 7d ago".to_owned())
}

fn moment(text: &str, now: u64) -> Option<u64> {
    let unit = match text.chars().last()? {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return u64::try_from(day(text)?).ok()?.checked_mul(86_400),
    };
    let number: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    Some(now.saturating_sub(number.checked_mul(unit)?))
}

fn ending(word: &str) -> Result<String, String> {
    let known: Vec<&str> = Ending::ALL.iter().map(|ending| ending.name()).chain(["open"]).collect();
    match known.contains(&word) {
        true => Ok(word.to_owned()),
        false => Err(format!("known are {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_or_so_long_ago() {
        assert_eq!(moment("2h", 10_000), Some(2800));
        assert_eq!(moment("90d", 10_000), Some(0));
        assert_eq!(moment("1970-01-02", 0), Some(86_400));
        for wrong in ["", "d", "-1d", "2026-13-01", "yesterday", "99999999999999999999d", "9ä"] {
            assert_eq!(moment(wrong, 10_000), None, "{wrong}");
        }
    }
}
