//! What a transaction still holds after its final answer, measured; alone in its program, so that nothing else is.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use carillon_wire::sip::{Flow, Transport};
use support::*;

const CALLS: usize = 1500;

/// An INVITE as phones send it: 1.4 KB with its session description.
fn call(number: usize, flow: Flow) -> String {
    let sdp = "v=0\r\no=- 3946 3946 IN IP4 198.51.100.1\r\ns=call\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
        .to_owned()
        + "m=audio 50000 RTP/SAVP 96 9 0 8 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n"
        + &"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n".repeat(5);
    let head = format!(
        "Contact: <{}>\r\nUser-Agent: Linphone Desktop/4.2.5 (Debian) LinphoneSDK/5.0.37\r\n\
         Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, PRACK, UPDATE\r\n\
         Supported: replaces, outbound, gruu, path\r\nContent-Type: application/sdp\r\n",
        contact("ann", flow)
    );
    request("INVITE", "sip:bob@example.com", flow, &format!("-call.{number}"), 20, "", &head)
        .replace("call-1", &format!("3848276298220188511@atlanta.example.com.{number}"))
        .replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len()))
}

/// Bytes per transaction that are held after calls got this answer, before the timers have run out; at the worst moment, when
/// tables have just grown.
fn held_after(status: &str, caller: Flow, phone: Flow) -> usize {
    let mut house = House::new();
    house.register("bob", phone, "");
    let (before, mut worst) = (held(), 0);
    for number in 1..=CALLS {
        let invited = house.hear(caller, &call(number, caller)).remove(1);
        house.hear(phone, &invited.answer("180 Ringing", "bob", ""));
        let final_answer =
            invited.answer(status, "bob", &format!("Contact: <{}>\r\n", contact("bob", phone)));
        house.hear(phone, &final_answer);
        house.events.clear();
        house.records.clear();
        let left = transactions(&house);
        assert!(left >= number, "{left} of {number} are still remembered");
        // What all share counts for nothing among so many.
        if number >= CALLS / 3 {
            worst = worst.max((held() - before) as usize / left);
        }
    }
    worst
}

fn transactions(house: &House) -> usize {
    let counts = house.front.counts();
    counts.server_transactions + counts.client_transactions
}

#[test]
fn a_transaction_holds_less_than_a_kilobyte_after_its_final_answer() {
    let (tcp, tls) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    for (status, caller, phone) in [
        ("200 OK", udp(1), udp(2)),
        ("486 Busy Here", udp(1), udp(2)),
        ("200 OK", tcp, tls),
        ("486 Busy Here", udp(1), tls),
    ] {
        let each = held_after(status, caller, phone);
        println!("{each} bytes after {status} from {} to {}", phone.transport, caller.transport);
        assert!(each <= 1024, "{each} bytes after {status}");
        assert!(each > 100, "{each} bytes can't be all");
    }
}

/// Bytes that this thread has taken and not given back.
fn held() -> isize {
    HELD.with(Cell::get)
}

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is the system allocator's; only numbers are added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn add(bytes: isize) {
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}
