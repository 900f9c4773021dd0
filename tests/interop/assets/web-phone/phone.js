// A phone of JsSIP, driven by `phone.…` from outside: it signs in, writes, calls, answers every call, and keeps what it hears.
import JsSIP from "jssip";

const RATE = 8000;
const pcConfig = { iceServers: [] };
const mediaConstraints = { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, video: false };

let agent;
let session;
let tapped;
let over = "the call is not ready";
const messages = [];
const heard = [];

// On the thread that renders sound, where nothing of it is left out while the page is busy.
const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; }
})`;

// What comes from the other end, as samples of 16 bits.
function listen(connection) {
  connection.addEventListener("track", async ({ track }) => {
    const stream = new MediaStream([track]);
    // What nobody plays is not decoded.
    document.getElementById("other").srcObject = stream;
    // A call that is taken up again brings its track again.
    tapped?.close();
    const context = new AudioContext({ sampleRate: RATE });
    tapped = context;
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([TAP], { type: "text/javascript" })));
    const tap = new AudioWorkletNode(context, "tap");
    tap.port.onmessage = ({ data: samples }) => {
      // What is before the first word is the time that it takes to connect.
      if (session.isEnded() || (heard.length === 0 && !samples.some((sample) => Math.abs(sample) > 0.05))) return;
      heard.push(Int16Array.from(samples, (sample) => Math.max(-1, Math.min(1, sample)) * 32767));
    };
    context.createMediaStreamSource(stream).connect(tap);
    tap.connect(context.destination);
  });
}

function ended(reject) {
  return ({ cause, message }) => reject(new Error(`${cause} ${message?.status_code ?? ""}`));
}

// Resolves when the other end has agreed to something new; else says what became of the call.
function agreed(begin) {
  return new Promise((resolve, reject) => begin(() => resolve("agreed")) || reject(new Error(`not now: ${over}`)));
}

window.phone = {
  // From now on calls are made by way of these.
  relays: (servers) => { pcConfig.iceServers = servers; },

  // Resolves when the server has said 200; else says why not.
  signIn: (account) => new Promise((resolve, reject) => {
    const made = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(account.server)],
      uri: account.uri,
      password: account.password,
      authorization_jwt: account.token && `Bearer ${account.token}`,
      connection_recovery_min_interval: 300,
      no_answer_timeout: 20,
    });
    agent = made;
    made.on("registered", () => resolve("registered"));
    made.on("registrationFailed", ({ response, cause }) => {
      made.stop();
      resolve(`${cause} ${response?.status_code} ${response?.getHeader("WWW-Authenticate")}`);
    });
    made.on("disconnected", ({ code }) => {
      made.stop();
      reject(new Error(`disconnected ${code}`));
    });
    made.on("newMessage", ({ originator, request }) => originator === "remote" && messages.push(request.body));
    made.on("newRTCSession", ({ originator, session: incoming }) => {
      if (originator !== "remote") return;
      session = incoming;
      session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
      session.answer({ pcConfig, mediaConstraints });
    });
    made.start();
  }),

  write: (to, text) => new Promise((resolve, reject) => {
    agent.sendMessage(to, text, {
      eventHandlers: { succeeded: ({ response }) => resolve(response.status_code), failed: ended(reject) },
    });
  }),

  call: (to) => new Promise((resolve, reject) => {
    session = agent.call(to, {
      pcConfig,
      mediaConstraints,
      eventHandlers: {
        confirmed: () => resolve("confirmed"),
        failed: ended(reject),
        ended: ({ originator, cause }) => { over = `the call was ended by ${originator}: ${cause}`; },
      },
    });
    listen(session.connection);
  }),

  messages: () => messages,

  // Whether the call is over.
  isOver: () => session?.isEnded() ?? false,

  hangUp: () => session.terminate(),

  // Each resolves when the other end has agreed.
  hold: () => agreed((done) => session.hold({}, done)),
  resume: () => agreed((done) => session.unhold({}, done)),
  // With new credentials, so that the way is looked for anew.
  restart: () => agreed((done) => session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }, done)),

  // As events in RTP (RFC 4733).
  press: (keys) => session.sendDTMF(keys, { transportType: "RFC2833", duration: 200, interToneGap: 200 }),

  // What was heard so far is forgotten.
  forget: () => heard.splice(0).length,

  // Bytes of a WAV without its head, in base64.
  heard: () => {
    const bytes = heard.flatMap((piece) => [...new Uint8Array(piece.buffer)]);
    return btoa(bytes.map((byte) => String.fromCharCode(byte)).join(""));
  },
};
