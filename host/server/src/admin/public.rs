//! Health and metrics over TCP: what anybody may see who reaches the address. Nobody is named, errors are not shown, and
//! however many ask, the turn is asked once a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use carillon_net::admin_socket::MarkedListener;
use carillon_wire::ip::Dscp;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use super::healthy;
use super::refusal::Refusal;
use crate::desk::{Busy, Desk, Watched};

/// How old an answer may be.
const AGE: Duration = Duration::from_secs(1);

/// Serves until the runtime ends. With another mark, new connections carry it, and those that are open end after what they
/// are answering.
pub(super) async fn serve<S: Watched>(
    listener: Arc<MarkedListener>,
    marks: watch::Receiver<Dscp>,
    desk: Desk<S>,
) {
    let routes = routes(desk);
    marked(listener, marks, "health and metrics", |accepting, mut changed| {
        let until = async move { drop(changed.changed().await) };
        let serving = axum::serve(accepting, routes.clone()).with_graceful_shutdown(until);
        async move { drop(serving.await) }
    })
    .await;
}

/// Has connections served on tasks of their own until the mark changes; then those that come next carry the new one.
pub(super) async fn marked<F: Future<Output = ()> + Send + 'static>(
    listener: Arc<MarkedListener>,
    mut marks: watch::Receiver<Dscp>,
    what: &str,
    mut serve: impl FnMut(TcpListener, watch::Receiver<Dscp>) -> F,
) {
    loop {
        match listener.accepting() {
            Ok(accepting) => drop(tokio::spawn(serve(accepting, marks.clone()))),
            Err(error) => return tracing::error!("{what}: taking connections has ended: {error}"),
        }
        if marks.changed().await.is_err() {
            return;
        }
        let mark = *marks.borrow_and_update();
        if let Err(error) = listener.set_mark(mark) {
            tracing::error!("{what}: the old mark stays: {error}");
        }
    }
}

fn routes<S: Watched>(desk: Desk<S>) -> Router {
    let public = Public { desk, beat: Recent::new(AGE), page: Recent::new(AGE) };
    Router::new()
        .route("/health", get(health::<S>))
        .route("/metrics", get(metrics::<S>))
        .with_state(Arc::new(public))
}

/// The desk, and what the turn has said there lately.
struct Public<S> {
    desk: Desk<S>,
    beat: Recent<Result<(), Busy>>,
    page: Recent<Result<String, Busy>>,
}

/// 200 while phones are served; 503 from the moment on in which they should go elsewhere.
async fn health<S: Watched>(State(public): State<Arc<Public<S>>>) -> Response {
    let told = public.desk.health();
    let trouble = if told.trouble().is_some() {
        Some(S::TROUBLE.to_owned())
    } else if told.is_stopping() {
        Some("the server is being stopped".to_owned())
    } else {
        public.beat.get(S::beat(&public.desk)).await.err().map(|busy| busy.to_string())
    };
    healthy(trouble)
}

async fn metrics<S: Watched>(State(public): State<Arc<Public<S>>>) -> Result<Response, Refusal> {
    let page = public.page.get(S::metrics(&public.desk)).await?;
    Ok(([("content-type", "text/plain; version=0.0.4")], page).into_response())
}

/// An answer that serves everybody who asks while it is new. Who asks meanwhile waits for the same one.
struct Recent<T> {
    age: Duration,
    answer: Mutex<Option<(Instant, T)>>,
}

impl<T: Clone> Recent<T> {
    fn new(age: Duration) -> Recent<T> {
        Recent { age, answer: Mutex::new(None) }
    }

    async fn get(&self, ask: impl Future<Output = T>) -> T {
        let mut held = self.answer.lock().await;
        if let Some((at, answer)) = &*held
            && at.elapsed() < self.age
        {
            return answer.clone();
        }
        let answer = ask.await;
        *held = Some((Instant::now(), answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::turn::tests::server;

    fn run<T>(what: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what)
    }

    #[test]
    fn however_many_ask_the_turn_is_asked_once_while_its_answer_is_new() {
        let asked = AtomicU32::new(0);
        let ask = || async {
            tokio::task::yield_now().await;
            asked.fetch_add(1, Ordering::Relaxed)
        };
        let (new, old) = (Recent::new(Duration::MAX), Recent::new(Duration::ZERO));
        run(async {
            for _ in 0..100 {
                assert_eq!(tokio::join!(new.get(ask()), new.get(ask())), (0, 0));
            }
            assert_eq!((old.get(ask()).await, old.get(ask()).await), (1, 2));
        });
    }

    #[test]
    fn an_error_of_the_store_is_not_shown_to_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let (server, desk) = server(&folder);
        server.health.set_trouble(Some("cannot save: /var/lib/carillon/carillon.db is full".to_owned()));
        let shown = |answer: Response| async {
            let (head, body) = answer.into_parts();
            let body = axum::body::to_bytes(body, 1000).await.unwrap();
            (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
        };
        let public = Public { desk: desk.clone(), beat: Recent::new(AGE), page: Recent::new(AGE) };
        let told = run(async { shown(health(State(Arc::new(public))).await).await });
        let expected = "{\"healthy\":false,\"trouble\":\"nothing can be saved; the log says why\"}";
        assert_eq!(told, (503, expected.to_owned()));
        let told = run(async { shown(super::super::health(State(desk)).await).await });
        assert!(told.1.contains("carillon.db is full"), "an administrator sees it: {told:?}");
    }
}
