//! What a session description asks of the links between two ends, and a copy of it that asks for less.

use carillon_qos::bandwidth::{self, Rate};
use carillon_wire::sdp::codec::Codec;
use carillon_wire::sdp::{Media, Restriction, Session};
use carillon_wire::sip::{Message, Name};

use crate::records::goes_along;

/// What is asked for.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Wanted {
    /// The codecs of each audio section, any of which may be spoken there; none if there is no audio.
    pub(crate) audio: Vec<Vec<&'static Rate>>,
    /// Whether there is video, and what its writer wants at most.
    pub(crate) video: Option<Option<u32>>,
}

/// What may pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Granted {
    /// What one call may take of the audio of these links.
    pub(crate) session: Option<u32>,
    /// What the video may take; nothing if there must be none.
    pub(crate) video: Video,
}

/// More than this nobody means: a gigabit.
const MOST: u32 = 1_000_000;

/// What becomes of video.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Video {
    /// No link counts it.
    Free,
    /// It may take so much.
    Within(u32),
    /// There is no room for it.
    Refused,
}

impl Wanted {
    /// What a message asks for; `None` if it has no description that can be read.
    pub(crate) fn of(message: &Message<&[u8]>) -> Option<Wanted> {
        Wanted::read(message.sdp()?)
    }

    /// The same of a description.
    pub(crate) fn read(sdp: &[u8]) -> Option<Wanted> {
        let session = Session::parse(sdp)?;
        let (mut audio, mut video) = (Vec::new(), None);
        for media in session.media().filter(|media| !media.is_refused()) {
            match media.kind {
                "audio" => {
                    let known: Vec<&Rate> = rates(&media).map(|(_, rate)| rate).collect();
                    audio.push(if known.is_empty() { vec![bandwidth::of("", 0)] } else { known });
                }
                // The limits of two are of each.
                "video" => video = Some(sum(video, media.bandwidth().map(|limit| limit.min(MOST)))),
                _ => {}
            }
        }
        Some(Wanted { audio, video })
    }

    /// Of an INVITE without a description: speech by whichever codec.
    pub(crate) fn unsaid() -> Wanted {
        Wanted { audio: vec![bandwidth::RATES.iter().collect()], video: None }
    }

    /// What its audio costs where one stream may take so much: that of its dearest codec that does, of all sections together. `None`
    /// if one of them has no such codec.
    pub(crate) fn audio(&self, session: Option<u32>) -> Option<u32> {
        let cost = |codecs: &Vec<&'static Rate>| {
            codecs.iter().filter(|rate| fits(rate, session)).map(|rate| rate.planned(session)).max()
        };
        self.audio.iter().map(cost).try_fold(0, |sum: u32, cost| Some(sum.saturating_add(cost?)))
    }
}

/// Two videos of one call: what both take, if both say it.
fn sum(before: Option<Option<u32>>, limit: Option<u32>) -> Option<u32> {
    match before {
        None => limit,
        Some(before) => Some(before?.saturating_add(limit?)),
    }
}

/// The body of a message as it may pass; `None` if it may as it is.
pub(crate) fn restricted(message: &Message<&[u8]>, granted: Granted) -> Option<Vec<u8>> {
    let sdp = message.sdp()?;
    spliced(message, sdp, &narrowed(sdp, granted)?)
}

/// The same of a description.
pub(crate) fn narrowed(sdp: &[u8], granted: Granted) -> Option<Vec<u8>> {
    let session = Session::parse(sdp)?;
    let videos = session.media().filter(|media| is_video(media)).count().max(1) as u32;
    let mut changes = false;
    let copy = session.restricted(|media| {
        let restriction = restriction(media, granted, videos);
        changes |= restriction != Restriction::default();
        restriction
    });
    changes.then_some(copy)
}

fn restriction(media: &Media<'_>, granted: Granted, videos: u32) -> Restriction {
    match (media.kind, granted.video) {
        ("audio", _) if !media.is_refused() => {
            let dear = rates(media).filter(|(_, rate)| !fits(rate, granted.session));
            Restriction { without: dear.map(|(number, _)| number).collect(), ..Restriction::default() }
        }
        (_, Video::Refused) if is_video(media) => Restriction { refused: true, ..Restriction::default() },
        (_, Video::Within(limit)) if is_video(media) => {
            let limit = limit / videos;
            let asks = media.bandwidth().is_none_or(|asked| asked > limit);
            Restriction { bandwidth: asks.then_some(limit), ..Restriction::default() }
        }
        _ => Restriction::default(),
    }
}

/// The description may be a part of the body.
fn spliced(message: &Message<&[u8]>, sdp: &[u8], copy: &[u8]) -> Option<Vec<u8>> {
    let body = message.body();
    let start = (sdp.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let (before, rest) = body.split_at_checked(start)?;
    // Whoever encodes a body otherwise can't be restricted by us.
    if message.get(Name::ContentEncoding).is_some() {
        return None;
    }
    Some([before, copy, rest.get(sdp.len()..)?].concat())
}

fn is_video(media: &Media<'_>) -> bool {
    media.kind == "video" && !media.is_refused()
}

fn fits(rate: &Rate, session: Option<u32>) -> bool {
    session.is_none_or(|limit| rate.srtp.ceil() as u32 <= limit)
}

/// The codecs of speech with what they cost.
fn rates<'m>(media: &Media<'m>) -> impl Iterator<Item = (u8, &'static Rate)> + use<'m> {
    let speech = |(_, codec): &(u8, Codec<'_>)| !goes_along(codec);
    media.codecs().filter(speech).map(|(number, codec)| (number, bandwidth::of(codec.name, codec.clock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\nm=audio 5000 RTP/AVP 96 9 0 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n\
        m=video 5002 RTP/AVP 97\r\nb=TIAS:768000\r\na=rtpmap:97 H264/90000\r\n";

    fn with<T>(sdp: &str, read: impl FnOnce(&Message<&[u8]>) -> T) -> T {
        let text = format!("INVITE sip:b@x SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n{sdp}");
        read(&Message::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_asked_for_is_the_dearest_that_one_call_may_take() {
        let wanted = with(SDP, |message| Wanted::of(message).unwrap());
        assert_eq!(wanted.video, Some(Some(768)));
        let costs = [None, Some(159), Some(95), Some(70), Some(63)].map(|session| wanted.audio(session));
        assert_eq!(costs, [Some(160), Some(156), Some(92), Some(64), None]);
        let refused = with(&SDP.replace("audio 5000", "audio 0"), |message| Wanted::of(message).unwrap());
        assert_eq!(refused.audio(Some(1)), Some(0));
        assert_eq!(Wanted::unsaid().audio(None), Some(160));
    }

    #[test]
    fn each_section_of_audio_counts() {
        let two = format!("{SDP}m=audio 5004 RTP/AVP 0\r\n");
        let wanted = with(&two, |message| Wanted::of(message).unwrap());
        let costs = [None, Some(95), Some(70)].map(|session| wanted.audio(session));
        assert_eq!(costs, [Some(316), Some(184), None], "the second speaks nothing that small");
    }

    #[test]
    fn a_copy_has_what_is_granted_and_no_more() {
        let copy = |session, video| {
            with(SDP, |message| restricted(message, Granted { session, video }))
                .map(|copy| String::from_utf8(copy).unwrap())
        };
        assert_eq!(copy(None, Video::Free), None);
        assert_eq!(copy(Some(100), Video::Within(768)), None);
        assert!(copy(Some(70), Video::Free).unwrap().contains("RTP/AVP 96 101\r\n"));
        assert!(copy(None, Video::Within(350)).unwrap().contains("RTP/AVP 97\r\nb=AS:350\r\na="));
        assert!(copy(None, Video::Refused).unwrap().contains("m=video 0 RTP"));
    }

    #[test]
    fn a_description_inside_another_body_is_replaced_there() {
        let text = format!(
            "INVITE sip:b@x SIP/2.0\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n--x\r\nContent-Type: application/sdp\r\n\r\n\
             {SDP}\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n"
        );
        let message = Message::parse(text.as_bytes()).unwrap();
        let granted = Granted { session: None, video: Video::Refused };
        let body = String::from_utf8(restricted(&message, granted).unwrap()).unwrap();
        assert!(body.starts_with("--x\r\n") && body.ends_with("hello\r\n--x--\r\n"), "{body}");
        assert!(body.contains("m=video 0 RTP/AVP 97\r\n"), "{body}");
    }
}
