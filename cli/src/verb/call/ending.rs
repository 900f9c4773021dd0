//! Why a call, or what was heard in it, ended: in words.

use carillon_signaling::agent::Ending;

/// Seconds of silence before the end that nobody leaves who hangs up: RTCP comes every five at the latest.
const SILENCE: f64 = 15.0;

/// Why a call ended, in words.
pub(super) fn ending(why: &Ending) -> String {
    match why {
        Ending::HungUp => "hung up here".to_owned(),
        Ending::RemoteHungUp { reason: Some(reason) } => format!("hung up there ({reason})"),
        Ending::RemoteHungUp { reason: None } => "hung up there".to_owned(),
        Ending::Refused(why) => format!("refused: {why}"),
        Ending::NoAck => "the caller never confirmed it".to_owned(),
    }
}

/// What it means that somebody was heard and then was not, though nobody hung up.
pub(super) fn stopped(heard_until: f64, seconds: f64) -> Option<String> {
    (seconds - heard_until >= SILENCE).then(|| {
        format!(
            "the other side stopped at {heard_until:.0} s, {:.0} s before the end: likely a firewall that closed, or a NAT that \
             forgot the call",
            seconds - heard_until
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_before_the_end_points_to_a_firewall_and_a_call_that_is_hung_up_does_not() {
        let told = stopped(10.2, 40.1).unwrap();
        assert!(
            told.starts_with("the other side stopped at 10 s, 30 s before the end: likely a firewall"),
            "{told}"
        );
        assert_eq!(stopped(10.2, 25.1), None);
        assert!(stopped(10.2, 25.2).is_some());
    }
}
