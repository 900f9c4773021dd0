//! The recipes for phones, at a server that is not ours: they sign in over TLS, call each other, and hear what was said.

use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::phones::{Account, assert_heard, baresip::Baresip, linphone::Linphone};
use carillon_interop::servers::kamailio::{Kamailio, PASSWORD};
use carillon_interop::site::Site;

#[test]
fn baresip_and_linphone_talk_with_srtp() -> Result<()> {
    let work = tempfile::tempdir()?;
    let site = Site::with_phones(&["a", "b"])?;
    let server = Kamailio::start(&site, work.path())?;
    let account = |user: &str, ports| Account {
        user: user.to_owned(),
        password: PASSWORD.to_owned(),
        server: server.tls,
        transport: "tls",
        ca: server.ca.clone(),
        codec: "PCMU/8000/1",
        srtp: true,
        ports,
        ice: false,
    };
    let (alice, bob) = (account("alice", 50000), account("bob", 50010));
    let mut linphone = Linphone::sign_in(&site.phones[1], &bob, work.path())?;
    let mut baresip = Baresip::sign_in(&site.phones[0], &alice, work.path())?;
    baresip.call(&bob.address())?;
    linphone.process.wait_for("Media streams established", Duration::from_secs(5))?;
    std::thread::sleep(Duration::from_secs(6));
    baresip.hang_up()?;
    linphone.process.wait_for("ended (No error)", Duration::from_secs(5))?;
    drop(linphone.say("quit"));
    assert_heard("bob", &linphone.heard()?, &alice)?;
    assert_heard("alice", &baresip.heard()?, &bob)
}
