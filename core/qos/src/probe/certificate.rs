//! What the certificate means that is shown at a listener of an Edge: whoever opens TLS on the way shows one of his own.

use super::edge::{Listener, Meaning};
use crate::check::{Facts, Side, is_for};

impl Listener {
    /// What is wrong with it, to whom knows by which name the Edge is reached, or who makes its certificates.
    pub fn judge_certificate(
        &self,
        side: Side,
        port: u16,
        facts: &Facts,
        name: Option<&str>,
    ) -> Option<Meaning> {
        let Listener { service, over, .. } = self;
        let (text, fix) = if facts.trusted == Some(false) {
            (
                format!(
                    "shows a certificate that {} made, and not whoever makes those of the Edge: a proxy or content scanner opens TLS \
                     on the way, or this is not the Edge",
                    facts.issuer
                ),
                format!(
                    "have the proxy or content scanner let {over} {port} to this address pass unopened; on the Edge \
                     `carillon edge check --all` shows who made its own"
                ),
            )
        } else {
            let wanted = name.filter(|wanted| !is_for(facts, wanted, Side::Outside))?;
            (
                format!("shows a certificate for {}, not for {wanted}", whom(facts)),
                format!("give the {service} a certificate for {wanted}, or see whether the name leads to it"),
            )
        };
        Some(Meaning { well: Some(false), text, fix, breaks: self.breaks(side, port) })
    }
}

fn whom(facts: &Facts) -> String {
    match facts.names.is_empty() {
        true => facts.common_name.clone(),
        false => facts.names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::edge::listeners;

    fn shown(trusted: Option<bool>, name: Option<&str>) -> Option<Meaning> {
        let conferences = listeners(Side::Outside).iter().find(|listener| listener.first == 444).unwrap();
        let facts = Facts {
            common_name: "conf.example.com".to_owned(),
            names: vec!["conf.example.com".to_owned()],
            issuer: "CN=Scanner".to_owned(),
            trusted,
            ..Facts::default()
        };
        conferences.judge_certificate(Side::Outside, 444, &facts, name)
    }

    #[test]
    fn another_authority_is_a_proxy_on_the_way_though_the_name_is_right() {
        let found = shown(Some(false), Some("conf.example.com")).unwrap();
        assert_eq!(found.well, Some(false));
        assert!(
            found.text.contains("CN=Scanner made") && found.text.contains("content scanner"),
            "{found:?}"
        );
        assert!(found.fix.contains("tcp 444"), "{found:?}");
        assert_eq!(found.breaks, "people outside see no whiteboard and no polls");
        assert_eq!(shown(Some(true), Some("conf.example.com")), None);
    }

    #[test]
    fn who_names_no_authority_is_told_of_another_name_only() {
        assert_eq!(shown(None, None), None);
        assert_eq!(shown(None, Some("CONF.example.com")), None);
        let found = shown(Some(true), Some("edge.example.com")).unwrap();
        assert!(found.text.contains("for conf.example.com, not for edge.example.com"), "{found:?}");
    }
}
