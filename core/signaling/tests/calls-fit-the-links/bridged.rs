//! Calls between a page and a phone: two legs with a codec each, by way of the site where the server stands.

use carillon_signaling::Bridging;
use carillon_wire::sip::Transport;

use super::*;

/// The server is in Hub, behind a link of its own; Oslo and Rome have links too.
const HUB: &str = r#"
    base = "lync"
    [management.NetworkConfiguration.Global]
    EnableBandwidthPolicyCheck = true
    [management.NetworkBandwidthPolicyProfile.Thin]
    BWPolicy = ["BWLimit=320;BWSessionLimit=200;BWPolicyModality=Audio", "BWLimit=600;BWSessionLimit=350;BWPolicyModality=Video"]
    [management.NetworkBandwidthPolicyProfile.Thick]
    BWPolicy = ["BWLimit=500;BWSessionLimit=200;BWPolicyModality=Audio"]
    [management.NetworkRegion.World]
    [management.NetworkSite.Hub]
    NetworkRegionID = "World"
    BWPolicyProfileID = "Thick"
    [management.NetworkSite.Oslo]
    NetworkRegionID = "World"
    BWPolicyProfileID = "Thin"
    [management.NetworkSite.Rome]
    NetworkRegionID = "World"
    BWPolicyProfileID = "Thin"
    [management.NetworkSubnet."192.0.2.0"]
    MaskBits = 24
    NetworkSiteID = "Hub"
    [management.NetworkSubnet."198.51.100.0"]
    MaskBits = 26
    NetworkSiteID = "Oslo"
    [management.NetworkSubnet."198.51.100.64"]
    MaskBits = 26
    NetworkSiteID = "Rome"
"#;
/// What a page says: Opus or G.722, and a picture.
const PAGE: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 9\r\na=rtpmap:111 opus/48000/2\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";
/// What the bridge offers a phone, and answers a page.
const OFFERED: &str = "v=0\r\nm=audio 49154 RTP/AVP 111 9 0\r\na=rtpmap:111 opus/48000/2\r\n";
const ANSWERED: &str = "v=0\r\nm=audio 49152 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n\
    m=video 0 UDP/TLS/RTP/SAVPF 96\r\n";

/// As the server would.
fn bridging(what: &Bridging) -> Result<String, carillon_signaling::NotBridged> {
    use carillon_wire::sdp::Profile;
    Ok(match what {
        Bridging::Offer { from: Profile::Web, .. } => OFFERED,
        Bridging::Offer { .. } => {
            "v=0\r\nm=audio 49152 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
        }
        Bridging::Answer { from: Profile::Phone, .. } => ANSWERED,
        Bridging::Answer { .. } => "v=0\r\nm=audio 49154 RTP/AVP 0\r\n",
        Bridging::Close => unreachable!(),
    }
    .to_owned())
}

fn house() -> House {
    let mut house = House::new();
    house.bridge = |what| {
        if *what == Bridging::Close { Err(carillon_signaling::NotBridged::NoPorts) } else { bridging(what) }
    };
    set_plan(&mut house, HUB);
    house.register("bob", udp(70), "");
    house
}

/// A page in Oslo or elsewhere.
fn page(host: u8) -> Flow {
    stream(Transport::Wss, u64::from(host), host)
}

/// What is reserved of audio on the links of Hub, Oslo and Rome.
fn audio(house: &House) -> [u64; 3] {
    let links = house.front.links();
    ["Hub", "Oslo", "Rome"].map(|name| links.iter().find(|link| link.name == name).unwrap().audio.reserved)
}

#[test]
fn each_leg_of_a_bridged_call_is_counted_with_its_own_codec_by_way_of_the_server() {
    let mut house = house();
    let sent = house.hear(page(1), &call(page(1), "one", PAGE));
    assert_eq!(audio(&house), [320, 160, 160], "what either leg may come to");
    assert_eq!(house.front.links()[1].video.reserved, 0, "no picture crosses");
    let ok = taken(&mut house, forwarded(&sent), "v=0\r\nm=audio 5000 RTP/AVP 0\r\n");
    assert!(ok.text.ends_with(ANSWERED), "{}", ok.text);
    assert_eq!(
        audio(&house),
        [256, 100, 156],
        "Opus with the page, PCMU with the phone, and both at the server"
    );
    house.hear(page(1), &within("BYE", page(1), "one", 9, &caller_routes(&ok.text), ""));
    assert_eq!(audio(&house), [0, 0, 0]);
}

#[test]
fn legs_of_one_call_that_take_the_same_link_add_up() {
    let mut house = house();
    house.register("carol", udp(10), "");
    let carol = call(page(1), "one", PAGE).replace("sip:bob@", "sip:carol@");
    let sent = house.hear(page(1), &carol);
    assert_eq!(audio(&house), [320, 320, 0], "to the server and back");
    let contact = format!("Contact: <{}>\r\n", contact("carol", udp(10)));
    house.hear(
        udp(10),
        &with(&forwarded(&sent).answer("200 OK", "bob", &contact), "v=0\r\nm=audio 5000 RTP/AVP 0\r\n"),
    );
    assert_eq!(audio(&house), [256, 256, 0]);
    let refused =
        house.hear(page(2), &carol.replace("one", "two").replace("branch=z9hG4bKone", "branch=z9hG4bKtwo"));
    assert_eq!(refused.last().unwrap().start(), "SIP/2.0 488 Not Acceptable Here");
    assert_eq!(audio(&house), [256, 256, 0]);
}

#[test]
fn a_leg_without_room_ends_the_call_and_leaves_nothing() {
    let mut house = house();
    let sent = house.hear(page(1), &call(page(1), "one", PAGE));
    taken(&mut house, forwarded(&sent), "v=0\r\nm=audio 5000 RTP/AVP 0\r\n");
    // 244 are left at the server: enough for the leg of the page, and too little for both.
    let refused = house.hear(page(2), &call(page(2), "two", PAGE));
    assert_eq!(refused.len(), 2, "nobody has rung: {refused:#?}");
    assert_eq!(refused[1].start(), "SIP/2.0 488 Not Acceptable Here");
    assert_eq!(refused[1].get("Reason"), "Q.850;cause=49;text=\"Quality of service not available\"");
    assert_eq!(audio(&house), [256, 100, 156]);
    assert_eq!(house.front.counts().bridges, 1);
    let hub = house.front.links().into_iter().find(|link| link.name == "Hub").unwrap();
    assert_eq!(hub.audio.refused, 1);
    house.wait(PATIENCE * 2);
    house.assert_quiet();
}

#[test]
fn a_bridge_hears_and_says_only_what_the_links_let_pass() {
    let mut house = house();
    set_plan(&mut house, &HUB.replace("BWSessionLimit=200", "BWSessionLimit=95"));
    let sent = house.hear(page(1), &call(page(1), "one", PAGE));
    let said = |house: &House, at: usize| match &house.wishes[at].what {
        Bridging::Offer { sdp, .. } | Bridging::Answer { sdp, .. } => String::from_utf8(sdp.clone()).unwrap(),
        Bridging::Close => unreachable!(),
    };
    assert!(said(&house, 0).contains("UDP/TLS/RTP/SAVPF 111\r\n"), "{}", said(&house, 0));
    let invited = forwarded(&sent).clone();
    assert!(invited.text.contains("m=audio 49154 RTP/AVP 111 0\r\n"), "{}", invited.text);
    assert_eq!(
        invited.get("Content-Length"),
        invited.text.split_once("\r\n\r\n").unwrap().1.len().to_string()
    );
    taken(&mut house, &invited, "v=0\r\nm=audio 5000 RTP/AVP 0 9\r\n");
    assert!(said(&house, 1).contains("m=audio 5000 RTP/AVP 0\r\n"), "{}", said(&house, 1));
}

#[test]
fn a_phone_calls_a_page_and_what_changes_later_is_counted_on_the_side_where_it_changes() {
    let mut house = house();
    house.register("carol", page(1), "");
    let carol = call(udp(70), "one", AUDIO).replace("sip:bob@", "sip:carol@");
    let sent = house.hear(udp(70), &carol);
    assert_eq!(audio(&house), [260, 100, 160], "a page is offered Opus");
    let contact = format!("Contact: <{}>\r\n", contact("carol", page(1)));
    let answer = with(&forwarded(&sent).answer("200 OK", "bob", &contact), PAGE);
    let ok = house.hear(page(1), &answer).remove(0);
    assert!(ok.text.ends_with("m=audio 49154 RTP/AVP 0\r\n"), "{}", ok.text);
    // The page may send G.722 too, if that is what it has answered.
    assert_eq!(audio(&house), [316, 160, 156]);
    let routes = caller_routes(&ok.text);
    let again = within("INVITE", udp(70), "one", 2, &routes, AUDIO).replace("sip:bob@", "sip:carol@");
    let sent = house.hear(udp(70), &again);
    let hold = forwarded(&sent).clone();
    assert_eq!(audio(&house), [316, 160, 160], "either may hold until it is agreed on");
    house.hear(page(1), &with(&hold.answer("200 OK", "bob", &contact), ANSWERED));
    assert_eq!(audio(&house), [256, 100, 156]);
    set_plan(&mut house, &HUB.replace("EnableBandwidthPolicyCheck = true", ""));
    set_plan(&mut house, HUB);
    assert_eq!(audio(&house), [256, 100, 156]);
}
