use super::super::roots::Signature;
use super::*;

const DIGICERT: &str = "A8985D3A65E5E5C4B2D7D66D40C6DD2FB19C5436";
const OLD: &str = "4.0.7577.4414";
const NEW: &str = "4.0.7577.4420";

fn at(date: &str) -> i64 {
    day(date).unwrap() * DAY
}

fn certificate(subject: &str, issuer: &str, thumbprint: &str) -> Certificate {
    Certificate {
        subject: format!("CN={subject}, O=Example"),
        issuer: format!("CN={issuer}, O=Example"),
        thumbprint: thumbprint.to_owned(),
        begins: at("2010-01-01"),
        ends: at("2031-01-01"),
        signature: Some(Signature::Sha256),
        bits: Some(2048),
    }
}

/// A server's certificate by a subordinate of this root.
fn chain(root: &str, thumbprint: &str) -> Vec<Certificate> {
    let mut top = certificate(root, root, thumbprint);
    if let Some(known) = roots().find(|known| known.thumbprint == thumbprint) {
        top.ends = at(known.expires) + DAY;
    }
    vec![
        certificate("fe.example.com", "Example Server CA", "01"),
        certificate("Example Server CA", root, "02"),
        top,
    ]
}

fn judged(
    chain: &[Certificate],
    firmware: &str,
    published: &[&str],
    date: &str,
) -> (Trust, Vec<&'static str>) {
    let published: Vec<String> = published.iter().map(|&one| one.to_owned()).collect();
    let judgement = judge(chain, firmware.parse().ok(), &published, at(date));
    (judgement.trust, judgement.findings.iter().map(|finding| finding.code).collect())
}

#[test]
fn a_phone_believes_what_came_with_its_release() {
    let chain = chain("DigiCert Global Root CA", DIGICERT);
    assert_eq!(judged(&chain, NEW, &[], "2014-10-28"), (Trust::Trusted, vec![]));
    assert_eq!(judged(&chain, OLD, &[], "2014-10-28"), (Trust::Untrusted, vec!["not-in-firmware"]));
    // Nobody knows what is on it: the oldest there is.
    assert_eq!(judged(&chain, "unknown", &[], "2014-10-28"), (Trust::Untrusted, vec!["not-in-firmware"]));
}

#[test]
fn a_published_root_is_there_after_a_restart() {
    let chain = chain("DigiCert Global Root CA", DIGICERT);
    assert_eq!(judged(&chain, OLD, &[DIGICERT], "2014-10-28"), (Trust::Trusted, vec!["needs-restart"]));
    let private = self::chain("Our own", "0A");
    assert_eq!(judged(&private, NEW, &[], "2014-10-28"), (Trust::Untrusted, vec!["private-authority"]));
    assert_eq!(judged(&private, NEW, &["0A"], "2014-10-28"), (Trust::Trusted, vec!["needs-restart"]));
}

/// The day that the root of CU11 which ends first does.
#[test]
fn a_root_that_ends_is_told_thirty_days_before() {
    let chain = chain("Entrust Root Certification Authority", "B31EB1B740E36C8402DADC37D44DF5D4674952F9");
    assert_eq!(judged(&chain, NEW, &[], "2026-10-27"), (Trust::Trusted, vec![]));
    let soon = vec!["expires-soon", "root-expires-soon"];
    assert_eq!(judged(&chain, NEW, &[], "2026-11-22"), (Trust::Trusted, soon.clone()));
    assert_eq!(judged(&chain, NEW, &[], "2026-11-27"), (Trust::Trusted, soon));
    assert_eq!(judged(&chain, NEW, &[], "2026-11-28"), (Trust::Untrusted, vec!["expired", "root-expired"]));
    // Without the root's own certificate the table counts.
    let upper = &chain[..2];
    assert_eq!(judged(upper, NEW, &[], "2026-11-22"), (Trust::Trusted, vec!["root-expires-soon"]));
}

/// The table's source has 2020 for a root that holds until 2028; the certificate itself knows better.
#[test]
fn a_root_that_is_there_says_itself_until_when_it_holds() {
    let mut chain = chain("AAA Certificate Services", "D1EB23A46D17D68FD92564C2F1F1601764D8E349");
    assert_eq!(judged(&chain, OLD, &[], "2026-11-22"), (Trust::Untrusted, vec!["expired", "root-expired"]));
    chain[2].ends = at("2029-01-01");
    assert_eq!(judged(&chain, OLD, &[], "2026-11-22"), (Trust::Trusted, vec![]));
}

#[test]
fn roots_that_can_be_imitated_are_named() {
    let chain =
        chain("Class 3 Public Primary Certification Authority", "742C3192E607E424EB4549542BE1BBC53E6174E2");
    assert_eq!(judged(&chain, OLD, &[], "2014-10-28"), (Trust::Trusted, vec!["root-weak"]));
}

#[test]
fn a_chain_without_its_root_is_known_by_the_name_of_who_made_it() {
    let mut chain = chain("DigiCert Global Root CA", DIGICERT);
    chain.pop();
    assert_eq!(judged(&chain, NEW, &[], "2014-10-28"), (Trust::Trusted, vec![]));
    chain.pop();
    assert_eq!(judged(&chain, NEW, &[], "2014-10-28"), (Trust::Unknown, vec!["chain-incomplete"]));
    assert_eq!(judged(&[], NEW, &[], "2014-10-28"), (Trust::Unknown, vec!["chain-incomplete"]));
}

#[test]
fn each_certificate_has_to_hold_and_to_be_made_by_the_next() {
    let whole = chain("DigiCert Global Root CA", DIGICERT);
    let with = |change: &dyn Fn(&mut Vec<Certificate>)| {
        let mut chain = whole.clone();
        change(&mut chain);
        judged(&chain, NEW, &[], "2014-10-28")
    };
    assert_eq!(with(&|chain| chain.swap(0, 1)), (Trust::Untrusted, vec!["chain-out-of-order"; 2]));
    assert_eq!(with(&|chain| chain[1].ends = at("2014-10-28")), (Trust::Untrusted, vec!["expired"]));
    assert_eq!(with(&|chain| chain[0].begins = at("2014-10-29")), (Trust::Untrusted, vec!["not-yet-valid"]));
    assert_eq!(with(&|chain| chain[0].ends = at("2014-11-20")), (Trust::Trusted, vec!["expires-soon"]));
    assert_eq!(with(&|chain| chain[0].bits = Some(1024)), (Trust::Trusted, vec!["weak"]));
    assert_eq!(with(&|chain| chain[0].signature = Some(Signature::Md5)), (Trust::Trusted, vec!["weak"]));
}
