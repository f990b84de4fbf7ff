//! Long work: progress, ends of every sort, cancelling, running out of time, broken connections.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jumpvisor::error::{Error, Kind, Result};
use jumpvisor::hv::Host;
use jumpvisor::hv::call::{Call, Cancel, Progress};
use jumpvisor::hv::machines::Machines;
use jumpvisor::hv::power::{Power, Switched, Verb};
use jumpvisor::tools::run::{Caller, Outcome, Watcher};

use crate::rig::{arguments, changing, gate, has, host, reading, tool, tool_by};
use crate::scripted::Peer;
use crate::scripted::answer::Answer;
use crate::scripted::tasks::{Round, Script};

const ON: &str = "PowerOnVM_Task";

fn power_on(peer: &Peer, call: &Call) -> Result<Switched> {
    let host = host(peer);
    let machine = host.find(&reading(), "db01")?;
    let result = host.switch(call, &machine.at, Verb::On);
    host.close();
    collectors_are_gone(peer);
    result
}

#[track_caller]
fn collectors_are_gone(peer: &Peer) {
    let made = peer.count("CreatePropertyCollector");
    assert_eq!(made, peer.count("DestroyPropertyCollector"), "{:?}", peer.methods());
    assert!(made > 0);
}

#[test]
fn progress_is_passed_on_in_order() {
    let peer = Peer::esxi();
    let rounds = [
        Round::Progress(None),
        Round::Progress(Some(10)),
        Round::Quiet,
        Round::Progress(Some(55)),
        Round::Truncated,
        Round::Progress(Some(100)),
        Round::Done,
    ];
    peer.script(ON, Script::new(&rounds));
    let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let sink = seen.clone();
    let call = changing().watched_by(move |it| sink.lock().unwrap().push(it.clone()));
    assert_eq!(power_on(&peer, &call).unwrap(), Switched::Done);
    let seen = seen.lock().unwrap();
    let percents: Vec<f64> = seen.iter().map(|it| it.percent).collect();
    assert!(percents.is_sorted(), "{percents:?}");
    for wanted in [10.0, 55.0, 100.0] {
        assert!(percents.contains(&wanted), "{percents:?}");
    }
    assert!(seen.iter().all(|it| it.note == "powering on db01"), "{seen:?}");
    assert_eq!(peer.count("WaitForUpdatesEx"), rounds.len(), "one wait for each answer");
}

#[test]
fn a_wait_goes_on_from_the_version_that_it_got() {
    let peer = Peer::esxi();
    peer.script(ON, Script::new(&[Round::Progress(Some(1)), Round::Quiet, Round::Done]));
    power_on(&peer, &changing()).unwrap();
    let all = peer.heard();
    let waits: Vec<_> = all.iter().filter(|it| it.method == "WaitForUpdatesEx").collect();
    let versions: Vec<_> = waits.iter().map(|it| it.arg("version").unwrap()).collect();
    assert_eq!(versions, ["", "1", "1"], "nothing new leaves the version as it is");
    assert!(waits.iter().all(|it| it.arg("options.maxWaitSeconds").is_some()));
    let filter = peer.last("CreateFilter");
    assert_eq!(filter.arg("partialUpdates").as_deref(), Some("false"));
    assert_eq!(filter.args("spec.propSet.pathSet"), ["info", "runtime.question"]);
}

#[test]
fn a_failed_task_says_why() {
    let peer = Peer::esxi();
    let fields = "<faultMessage><key>msg.disk.noBackEnd</key>\
        <message>File [datastore1] db01/db01.vmdk was not found.</message></faultMessage>\
        <file>[datastore1] db01/db01.vmdk</file>";
    let said = "File was not found";
    peer.script(
        ON,
        Script::new(&[Round::Progress(Some(3)), Round::Fail("FileNotFound", fields, said)]),
    );
    let error = power_on(&peer, &changing()).unwrap_err();
    assert_eq!((error.kind(), error.fault_name()), (Kind::NotFound, Some("FileNotFound")));
    let parts = [ON, said, "file [datastore1] db01/db01.vmdk", "db01.vmdk was not found"];
    has(&error.to_string(), &parts);
}

#[test]
fn a_task_that_fails_without_words_is_told_all_the_same() {
    let peer = Peer::esxi();
    peer.script(ON, Script::new(&[Round::Fail("GenericVmConfigFault", "", "")]));
    let error = power_on(&peer, &changing()).unwrap_err();
    has(&error.to_string(), &[ON, "GenericVmConfigFault"]);
}

#[test]
fn somebody_elses_cancel_is_no_cancel_of_ours() {
    let peer = Peer::esxi();
    peer.script(ON, Script::new(&[Round::Fail("RequestCanceled", "", "The task was canceled")]));
    let error = power_on(&peer, &changing()).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    has(&error.to_string(), &["somebody cancelled the task"]);
}

#[test]
fn a_task_that_disappears_ends_the_wait() {
    let peer = Peer::esxi();
    peer.script(ON, Script::new(&[Round::Progress(Some(3)), Round::Gone]));
    let error = power_on(&peer, &changing()).unwrap_err();
    has(&error.to_string(), &["forgot the task", "Look at the machine's state"]);
}

#[test]
fn a_state_that_is_reached_meanwhile_is_a_success() {
    let peer = Peer::esxi();
    let fields =
        "<requestedState>poweredOn</requestedState><existingState>poweredOn</existingState>";
    peer.script(ON, Script::new(&[Round::Fail("InvalidPowerState", fields, "Powered on")]));
    // Somebody else was faster with this one; the other really is off, whatever the fault says.
    let host = host(&peer);
    let running = host.find(&reading(), "web01").unwrap();
    assert_eq!(host.switch(&changing(), &running.at, Verb::On).unwrap(), Switched::Already);
    host.close();
    assert_eq!(power_on(&peer, &changing()).unwrap_err().kind(), Kind::Conflict);
}

/// Cancels as soon as the task is waited for the second time.
fn cancelled(peer: &Peer) -> Error {
    let (cancel, gate, twin) = (Cancel::default(), gate(peer), peer.clone());
    let stop = cancel.clone();
    let stopper = std::thread::spawn(move || {
        twin.wait_for("WaitForUpdatesEx", 2);
        stop.cancel();
    });
    let error = tool_by(&gate, "power_on", &["name=db01"], cancel).unwrap_err();
    stopper.join().unwrap();
    error
}

#[test]
fn a_cancelled_call_cancels_its_task() {
    let peer = Peer::esxi();
    peer.script(ON, Script::new(&[Round::Progress(Some(5)), Round::Hang]));
    let error = cancelled(&peer);
    assert_eq!(error.kind(), Kind::Cancelled, "{error}");
    assert_eq!(peer.count("CancelTask"), 1);
    assert!(peer.last("CancelTask").this.starts_with("haTask-2-"), "the task that was started");
    collectors_are_gone(&peer);
}

#[test]
fn a_cancelled_wait_for_the_guest_ends_at_once() {
    let peer = Peer::esxi();
    peer.change(|state| {
        let status = state.vm("1").props.get_mut("guest.toolsRunningStatus").unwrap();
        *status = status.replace("guestToolsRunning", "guestToolsNotRunning");
    });
    let (cancel, twin) = (Cancel::default(), peer.clone());
    let stop = cancel.clone();
    let stopper = std::thread::spawn(move || {
        twin.wait_for("WaitForUpdatesEx", 1);
        stop.cancel();
    });
    let words = ["name=web01", "timeout=600"];
    let error = tool_by(&gate(&peer), "wait_for_vm_tools", &words, cancel).unwrap_err();
    stopper.join().unwrap();
    assert_eq!(error.kind(), Kind::Cancelled, "{error}");
    // The one wait was ended at the server, and not seen to its end there.
    assert_eq!((peer.count("CancelWaitForUpdates"), peer.count("WaitForUpdatesEx")), (1, 1));
    collectors_are_gone(&peer);
}

#[test]
fn a_task_that_cannot_be_cancelled_is_left_and_said_to_go_on() {
    let peer = Peer::esxi();
    peer.script(ON, Script::not_cancelable(&[Round::Progress(Some(5)), Round::Hang]));
    let error = cancelled(&peer);
    assert_eq!(error.kind(), Kind::Cancelled, "{error}");
    has(&error.to_string(), &["goes on on the server"]);
    assert_eq!(peer.count("CancelTask"), 1);
    collectors_are_gone(&peer);
}

#[test]
fn a_task_that_is_slow_to_stop_is_seen_to_its_end() {
    let peer = Peer::esxi();
    peer.always("CancelTask", || Answer::Result(String::new()));
    peer.rule(|asked, nth| {
        if asked.method == "WaitForUpdatesEx" && nth > 1 {
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    });
    let mut rounds: Vec<Round> = (1..8).map(|at| Round::Progress(Some(at))).collect();
    rounds.push(Round::Fail("RequestCanceled", "", "The task was canceled by a user."));
    peer.script(ON, Script::new(&rounds));
    let error = cancelled(&peer);
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(!error.to_string().contains("goes on"), "{error}");
    assert_eq!(peer.count("WaitForUpdatesEx"), rounds.len());
}

#[test]
fn a_server_without_cancel_does_not_hold_the_caller() {
    let peer = Peer::esxi();
    peer.always("CancelTask", || Answer::fault("MethodNotFound", "no CancelTask"));
    peer.script(ON, Script::new(&[Round::Progress(Some(5)), Round::Hang]));
    let error = cancelled(&peer);
    has(&error.to_string(), &["goes on on the server"]);
}

#[test]
fn a_call_out_of_time_cancels_its_task() {
    let peer = Peer::esxi();
    peer.script(ON, Script::new(&[Round::Progress(Some(5)), Round::Hang]));
    let error = power_on(&peer, &changing().within(Duration::from_millis(1_200))).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    has(&error.to_string(), &["not done in time", "was cancelled", "timeout_seconds"]);
    assert_eq!(peer.count("CancelTask"), 1);
}

#[test]
fn the_argument_bounds_the_task_too() {
    let peer = Peer::esxi();
    peer.script(ON, Script::new(&[Round::Hang]));
    let words = ["name=db01", "timeout_seconds=1"];
    let error = tool(&gate(&peer), "power_on", &words).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    assert_eq!(peer.count("CancelTask"), 1);
    collectors_are_gone(&peer);
}

#[test]
fn out_of_time_and_not_cancelable_says_that_it_goes_on() {
    let peer = Peer::esxi();
    peer.script(ON, Script::not_cancelable(&[Round::Hang]));
    let error = power_on(&peer, &changing().within(Duration::from_millis(1_200))).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    has(&error.to_string(), &["goes on on the server"]);
}

#[test]
fn a_reading_method_is_sent_again_after_a_broken_connection() {
    for mid in [false, true] {
        let peer = Peer::esxi();
        peer.at("RetrievePropertiesEx", 1, || Answer::DropBefore);
        if mid {
            peer.at("RetrievePropertiesEx", 1, || Answer::DropMid("<returnval/>".into()));
        }
        let found = host(&peer).find(&reading(), "db01");
        assert!(found.is_ok(), "mid: {mid}: {:?}", found.err());
        // The list of names twice, then the machine.
        assert_eq!(peer.count("RetrievePropertiesEx"), 3);
    }
}

#[test]
fn a_reading_method_is_sent_twice_at_most() {
    let peer = Peer::esxi();
    peer.always("RetrievePropertiesEx", || Answer::DropBefore);
    let error = host(&peer).find(&reading(), "db01").unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    has(&error.to_string(), &["RetrievePropertiesEx", "closed the connection"]);
    assert_eq!(peer.count("RetrievePropertiesEx"), 2);
}

#[test]
fn a_changing_method_is_never_sent_again() {
    for mid in [false, true] {
        let peer = Peer::esxi();
        peer.at(ON, 1, || Answer::DropBefore);
        if mid {
            peer.at(ON, 1, || Answer::DropMid("<returnval type=\"Task\">t</returnval>".into()));
        }
        let error = tool(&gate(&peer), "power_on", &["name=db01"]).unwrap_err();
        assert_eq!(error.kind(), Kind::Network, "{error}");
        has(&error.to_string(), &[ON]);
        assert_eq!(peer.count(ON), 1, "mid: {mid}");
    }
}

#[test]
fn a_wait_survives_a_broken_connection() {
    for mid in [false, true] {
        let peer = Peer::esxi();
        peer.script(ON, Script::new(&[Round::Progress(Some(1)), Round::Done]));
        peer.at("WaitForUpdatesEx", 2, || Answer::DropBefore);
        if mid {
            peer.at("WaitForUpdatesEx", 2, || Answer::DropMid("<returnval/>".into()));
        }
        let result = tool(&gate(&peer), "power_on", &["name=db01"]);
        assert!(result.is_ok(), "mid: {mid}: {:?}", result.err());
        assert_eq!(peer.count(ON), 1);
        collectors_are_gone(&peer);
    }
}

#[test]
fn several_machines_have_a_collector_each_and_fail_alone() {
    let peer = Peer::esxi();
    peer.rule(|asked, _| {
        let locked = || Answer::fault("TaskInProgress", "Another task is already in progress.");
        (asked.method == "PowerOffVM_Task" && asked.this == "2").then(locked)
    });
    peer.change(|state| {
        let on = crate::scripted::world::typed("VirtualMachinePowerState", "poweredOn");
        state.vm("2").set("runtime.powerState", on);
    });
    let told = tool(&gate(&peer), "power_off", &["names=web01,db01"]).unwrap();
    assert!(told.some_failed);
    has(
        &told.text,
        &["web01", "powered off", "Another task is already in progress", "TaskInProgress"],
    );
    collectors_are_gone(&peer);
}

#[test]
fn a_progress_of_a_batch_counts_machines() {
    let peer = Peer::esxi();
    let gate = gate(&peer);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = seen.clone();
    let watcher: Watcher =
        Arc::new(move |it: &Progress| sink.lock().unwrap().push(it.note.clone()));
    let caller = Caller::local("tester").watched_by(Some(watcher));
    let outcome = gate.call("power_on", arguments(&["names=db01,a/b"]), caller);
    assert!(matches!(outcome, Outcome::Answer(_)));
    assert_eq!(*seen.lock().unwrap(), ["1 of 2 VMs", "2 of 2 VMs"]);
}
