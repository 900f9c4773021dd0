//! One file per program that calls.

pub mod aiortc;
pub mod baresip;
pub mod chromium;
pub mod ffmpeg;
pub mod linphone;
pub mod segmentation;
pub mod sipp;
pub mod turn;
pub mod webrtc;
