//! Units that do nothing but obey, under the supervisor.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::super::settings::{NotTaken, Settings};
use super::super::status::{UnitRow, UnitState};
use super::super::unit::Facts;
use super::*;
use crate::config::{Configuration, Replica};

/// A unit that waits for orders; two stops end it, or one if it has nothing to let go of.
struct Idle {
    orders: Orders<dyn Part>,
    woken: Receiver<()>,
    holds: bool,
    over: bool,
    /// How often it was told to reload, by all of its kind.
    reloads: Arc<AtomicU32>,
}

impl Idle {
    fn open(holds: bool, reloads: Arc<AtomicU32>) -> Opened {
        let (wake, woken) = channel();
        let wake = Mutex::new(wake);
        let ring = move || wake.lock().unwrap().send(()).map_err(io::Error::other);
        let (desk, orders) = Desk::woken_by(ring, Arc::new(Health::default()));
        let idle = Idle { orders, woken, holds, over: false, reloads };
        Opened { desk, run: Box::new(move || idle.run()) }
    }

    fn run(mut self) -> io::Result<()> {
        while !self.over {
            if let Some(order) = self.orders.take() {
                order(&mut self);
            } else {
                self.woken.recv().map_err(io::Error::other)?;
            }
        }
        Ok(())
    }
}

impl Service for Idle {
    fn reload(&mut self) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    fn stop(&mut self) {
        self.over = !std::mem::take(&mut self.holds);
    }
}

impl Part for Idle {
    fn facts(&self) -> Facts {
        Facts::default()
    }
}

/// What the units of a test are like, which may change.
#[derive(Default)]
struct Nature {
    wanted: BTreeSet<Unit>,
    broken: BTreeSet<Unit>,
    /// Hold something that a stop waits for.
    busy: BTreeSet<Unit>,
    /// How often those that run have heard of another configuration.
    reloads: Arc<AtomicU32>,
}

impl Source for Arc<Mutex<Nature>> {
    fn wants(&self, unit: Unit, _: &EdgeConfig) -> bool {
        self.lock().unwrap().wanted.contains(&unit)
    }

    fn open(&self, unit: Unit, _: &Context) -> Result<Opened, StartError> {
        let nature = self.lock().unwrap();
        if nature.broken.contains(&unit) {
            return Err(StartError::Kernel(io::Error::other("no such luck")));
        }
        Ok(Idle::open(nature.busy.contains(&unit), nature.reloads.clone()))
    }
}

fn config() -> EdgeConfig {
    let text = "role = \"edge\"\nplan = \"lync-kloud\"\nname = \"edge.example.com\"\naddresses.external = \"203.0.113.5\"\n\
                [[relay-users]]\nname = \"a\"\npassword = \"b\"\n";
    let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
    match Configuration::from_toml(text, Path::new("edge.toml"), &none).unwrap() {
        Configuration::Edge(config) => config,
        Configuration::FrontEnd(_) => panic!("an Edge was configured"),
    }
}

/// An Edge whose turns the test takes.
struct House {
    edge: Edge,
    nature: Arc<Mutex<Nature>>,
}

impl House {
    fn of(units: &[Unit]) -> House {
        House::with(config(), units)
    }

    fn with(config: EdgeConfig, units: &[Unit]) -> House {
        let nature =
            Arc::new(Mutex::new(Nature { wanted: units.iter().copied().collect(), ..Nature::default() }));
        let (edge, _) = Edge::start(config, None, Box::new(nature.clone())).unwrap();
        House { edge, nature }
    }

    fn row(&self, unit: Unit) -> UnitRow {
        self.edge.unit(unit).unwrap()
    }

    fn state(&self, unit: Unit) -> (UnitState, u64) {
        (self.row(unit).state, self.row(unit).starts)
    }

    fn leave(&self, unit: Unit, order: impl FnOnce(&mut dyn Part) + Send + 'static) {
        let desks = self.edge.desks();
        desks.into_iter().find(|(of, _)| *of == unit).unwrap().1.leave(order).unwrap();
    }

    /// Until the thread of a unit has ended.
    fn end(&mut self, unit: Unit) {
        let ended =
            self.edge.slots.iter().find(|slot| slot.unit == unit).unwrap().running().unwrap().ended.clone();
        ended.wait();
        self.edge.look_after();
    }

    /// The pause of a unit that failed is over.
    fn hurry(&mut self, unit: Unit) {
        let slot = self.edge.slots.iter_mut().find(|slot| slot.unit == unit).unwrap();
        let State::Failed { retry, .. } = &mut slot.state else { panic!("{unit:?} has not failed") };
        *retry = Duration::ZERO;
        self.edge.look_after();
    }
}

#[test]
fn a_unit_that_panics_is_started_again_and_the_others_go_on() {
    let mut house = House::of(&[Unit::Av, Unit::WebConferencing]);
    house.leave(Unit::WebConferencing, |_| panic!("a fault"));
    house.end(Unit::WebConferencing);
    let row = house.row(Unit::WebConferencing);
    assert_eq!(
        (row.state, row.note.unwrap().as_str()),
        (UnitState::Failed, "it panicked: a fault; tried again in 1 s")
    );
    assert_eq!(house.edge.trouble().unwrap(), "the Web Conferencing Edge has failed: it panicked: a fault");
    assert_eq!(house.state(Unit::Av), (UnitState::Running, 1));
    house.hurry(Unit::WebConferencing);
    assert_eq!(house.state(Unit::WebConferencing), (UnitState::Running, 2));
    assert_eq!(house.edge.trouble(), None);
}

#[test]
fn pauses_grow_to_a_minute_and_begin_anew_after_a_minute_without_a_failure() {
    let mut house = House::of(&[Unit::Av, Unit::Access]);
    house.nature.lock().unwrap().broken.insert(Unit::Access);
    house.leave(Unit::Access, |_| panic!("a fault"));
    house.end(Unit::Access);
    let pause =
        |house: &House| house.row(Unit::Access).note.unwrap().rsplit_once("in ").unwrap().1.to_owned();
    let mut pauses = vec![pause(&house)];
    for _ in 0..7 {
        house.hurry(Unit::Access);
        pauses.push(pause(&house));
    }
    assert_eq!(pauses, ["1 s", "2 s", "4 s", "8 s", "16 s", "32 s", "60 s", "60 s"]);
    assert!(house.row(Unit::Access).note.unwrap().starts_with("cannot wait for sockets: no such luck"));
    house.nature.lock().unwrap().broken.clear();
    house.hurry(Unit::Access);
    let slot = house.edge.slots.iter_mut().find(|slot| slot.unit == Unit::Access).unwrap();
    slot.since = slot.since.saturating_sub(LONGEST_PAUSE * 2);
    house.leave(Unit::Access, |_| panic!("a fault"));
    house.end(Unit::Access);
    assert_eq!(pause(&house), "1 s");
}

#[test]
fn a_restart_waits_for_what_runs_unless_it_is_told_not_to_and_touches_no_other() {
    let mut house = House::of(&[Unit::Av, Unit::Replica]);
    house.nature.lock().unwrap().busy.insert(Unit::Av);
    for (starts, at_once) in [(2, false), (3, true)] {
        house.edge.restart(Unit::Av, at_once).unwrap();
        assert_eq!(house.row(Unit::Av).state, UnitState::Stopping);
        house.end(Unit::Av);
        assert_eq!(house.state(Unit::Av), (UnitState::Running, starts));
    }
    house.edge.restart(Unit::Av, false).unwrap();
    let (tell, told) = channel();
    house.leave(Unit::Av, move |_| tell.send(()).unwrap());
    told.recv_timeout(Duration::from_secs(20)).expect("it still takes orders");
    house.edge.look_after();
    assert_eq!(house.state(Unit::Av), (UnitState::Stopping, 3), "what runs is waited for");
    assert_eq!(house.state(Unit::Replica), (UnitState::Running, 1));
    let refused = house.edge.restart(Unit::Access, false).unwrap_err();
    assert_eq!(refused.0, "the Access Edge is off: no [access] section");
}

#[test]
fn one_that_cannot_be_started_does_not_keep_others_from_it_but_none_is_an_error() {
    let nature = Nature {
        wanted: [Unit::Av, Unit::Access].into(),
        broken: [Unit::Access].into(),
        ..Nature::default()
    };
    let nature = Arc::new(Mutex::new(nature));
    let (edge, _) = Edge::start(config(), None, Box::new(nature.clone())).unwrap();
    let mut house = House { edge, nature: nature.clone() };
    assert_eq!(
        (house.state(Unit::Av), house.state(Unit::Access)),
        ((UnitState::Running, 1), (UnitState::Failed, 0))
    );
    house.nature.lock().unwrap().broken.clear();
    house.edge.restart(Unit::Access, false).unwrap();
    assert_eq!(
        house.state(Unit::Access),
        (UnitState::Running, 1),
        "an order does not wait for the end of the pause"
    );
    nature.lock().unwrap().broken = [Unit::Av, Unit::Access].into();
    let error = Edge::start(config(), None, Box::new(nature)).err().unwrap();
    assert_eq!(error.to_string(), "cannot wait for sockets: no such luck");
}

#[test]
fn another_configuration_starts_what_it_adds_and_stops_what_it_leaves_out() {
    let mut house = House::of(&[Unit::Av, Unit::Access]);
    house.nature.lock().unwrap().wanted = [Unit::Av, Unit::Replica].into();
    house.edge.tell_units();
    assert_eq!(house.state(Unit::Replica), (UnitState::Running, 1));
    house.end(Unit::Access);
    assert_eq!(house.row(Unit::Access).state, UnitState::Off);
    assert_eq!(house.state(Unit::Av), (UnitState::Running, 1));
}

/// Whoever forbids something while a unit waits for its calls is told that it holds.
#[test]
fn what_drains_hears_of_another_configuration_unless_it_is_not_wanted_any_more() {
    let mut house = House::of(&[Unit::Av]);
    house.nature.lock().unwrap().busy.insert(Unit::Av);
    house.edge.restart(Unit::Av, true).unwrap();
    house.end(Unit::Av);
    house.edge.restart(Unit::Av, false).unwrap();
    let heard = |house: &House| {
        let (tell, told) = channel();
        house.leave(Unit::Av, move |_| tell.send(()).unwrap());
        told.recv_timeout(Duration::from_secs(20)).expect("it takes orders, one after the other");
        house.nature.lock().unwrap().reloads.load(Ordering::Relaxed)
    };
    house.edge.tell_units();
    assert_eq!((heard(&house), house.state(Unit::Av)), (1, (UnitState::Stopping, 2)));
    house.nature.lock().unwrap().wanted.clear();
    house.edge.tell_units();
    assert_eq!((heard(&house), house.state(Unit::Av)), (1, (UnitState::Stopping, 2)));
    house.edge.restart(Unit::Av, true).unwrap();
    house.end(Unit::Av);
    assert_eq!(house.row(Unit::Av).state, UnitState::Off);
}

/// An Edge for messages only needs a plan for its marks; one with media needs ports too, whoever sends the plan.
#[test]
fn relay_ports_are_asked_of_a_plan_only_where_there_is_media() {
    let store = tempfile::tempdir().unwrap();
    let replica = Replica { port: 4443, from: Vec::new(), store: store.path().join("settings") };
    let without = EdgeConfig { media: false, replica: Some(replica), ..config() };
    let with = EdgeConfig { media: true, ..without.clone() };
    let plan = "name = \"marks\"\n[classes]\nsignaling = \"CS3\"\n";
    let document = serde_json::to_vec(&Settings { version: 7, time: 1.0, plan: plan.to_owned() }).unwrap();
    let mut house = House::with(with.clone(), &[Unit::Access]);
    let refused = house.edge.take(&document).unwrap_err();
    assert!(
        matches!(&refused, NotTaken::Wrong(said) if said[0] == "plan: marks has no relay ports: it needs `ports` in its section [edge]"),
        "{refused:?}"
    );
    let mut house = House::with(without.clone(), &[Unit::Access]);
    assert_eq!(house.edge.take(&document).unwrap().version, 7);
    assert_eq!(house.edge.config.borrow().plan.plan.name(), "marks");
    // After a restart too; and media need more than that.
    assert_eq!(House::with(without.clone(), &[Unit::Access]).edge.config.borrow().plan.plan.name(), "marks");
    house.edge.check_held(&without).unwrap();
    let refused = house.edge.check_held(&with).unwrap_err().join("");
    assert!(refused.contains("version 7") && refused.contains("marks has no relay ports"), "{refused}");
    assert_ne!(House::with(with, &[Unit::Access]).edge.config.borrow().plan.plan.name(), "marks");
}

#[test]
fn a_stop_ends_every_unit_and_then_the_edge() {
    let nature =
        Nature { wanted: [Unit::Av, Unit::Access].into(), busy: [Unit::Av].into(), ..Nature::default() };
    let (edge, desk) = Edge::start(config(), None, Box::new(Arc::new(Mutex::new(nature)))).unwrap();
    let running = std::thread::spawn(|| edge.run());
    desk.stop();
    desk.stop();
    running.join().unwrap().unwrap();
}
