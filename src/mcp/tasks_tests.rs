//! What becomes of a task, and of many.

use super::*;

const LATER: Duration = Duration::from_secs(20);

fn tasks() -> Arc<Tasks> {
    Tasks::new(Duration::ZERO)
}

fn begun(all: &Arc<Tasks>, owner: &str) -> Arc<Task> {
    let task = all.prepare(owner, None).unwrap();
    assert!(task.publish().is_some());
    task
}

fn shown(task: &Task) -> Object {
    match json::parse(&task.detailed().json()) {
        Ok(Value::Object(it)) => it,
        _ => panic!("no object"),
    }
}

fn status(task: &Task) -> String {
    json::get_text(&shown(task), "status").unwrap().to_owned()
}

#[test]
fn what_its_request_would_have_been_answered_by_is_what_it_shows() {
    let good = r#"{"content":[{"type":"text","text":"done"}],"resultType":"complete"}"#;
    let bad = r#"{"content":[{"type":"image"},{"type":"text","text":"no room"}],"isError":true}"#;
    for (result, cancelled, status, member, said) in [
        (good, false, "completed", "result", None),
        (bad, false, "completed", "result", None),
        // It was too late, and what was done is told.
        (good, true, "completed", "result", None),
        (bad, true, "cancelled", "", Some("no room")),
    ] {
        let task = begun(&tasks(), "ann");
        if cancelled {
            task.cancel();
        }
        assert!(task.end(&Ok(result.to_owned())));
        let it = shown(&task);
        assert_eq!(json::get_text(&it, "status"), Some(status));
        assert_eq!(json::get_text(&it, "statusMessage"), said);
        assert_eq!(
            it.get("result").map(json::write),
            (member == "result").then(|| { json::write(&json::parse(result).unwrap()) })
        );
        // An end is the end, also for reports that come late.
        task.cancel();
        task.note(99.0, "late");
        assert_eq!(json::write_object(&shown(&task)), json::write_object(&it));
        assert!(it.get("ttlMs").and_then(json::as_int).unwrap() >= 3_600_000);
    }
    let task = begun(&tasks(), "ann");
    assert!(task.end(&Err(Failure::params("no tool `x`"))));
    let text = task.detailed().json();
    assert!(text.contains(r#""status":"failed","statusMessage":"no tool `x`""#), "{text}");
    assert!(text.ends_with(r#""error":{"code":-32602,"message":"no tool `x`"}}"#), "{text}");
}

#[test]
fn a_call_that_has_ended_before_is_no_task() {
    let all = tasks();
    let task = all.prepare("ann", None).unwrap();
    assert!(!task.is_due());
    task.agreed();
    assert!(task.is_due() && !task.end(&Ok("{}".to_owned())));
    assert!(all.find(task.id(), "ann").is_none());
    let patient = Tasks::new(LATER).prepare("ann", None).unwrap();
    patient.agreed();
    assert!(!patient.is_due());
}

#[test]
fn ids_belong_to_who_began_them_and_say_nothing() {
    let all = tasks();
    let (one, two) = (begun(&all, "ann"), begun(&all, "ann"));
    assert!(one.id().len() == 24 && one.id() != two.id());
    assert!(one.id().bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)));
    assert!(all.find(one.id(), "ann").is_some() && all.find(one.id(), "bob").is_none());
    assert!(all.find("", "ann").is_none());
}

#[test]
fn handles_are_complete_and_say_how_often_to_look() {
    let task = tasks().prepare("ann", None).unwrap();
    task.note(12.5, "disk 1 of 2");
    task.note(13.0, "");
    let Ok(answer) = task.publish().unwrap() else { panic!("no result") };
    let begin = format!(
        r#"{{"taskId":"{}","status":"working","statusMessage":"13 %","createdAt":"20"#,
        task.id()
    );
    assert!(answer.starts_with(&begin), "{answer}");
    let end = r#""ttlMs":null,"pollIntervalMs":1000,"resultType":"task","_meta":{"io."#;
    assert!(answer.contains(end), "{answer}");
}

#[test]
fn what_ended_longest_ago_makes_room_and_what_runs_stays() {
    let all = tasks();
    let running: Vec<_> = (0..MOST_EACH - 1).map(|_| begun(&all, "ann")).collect();
    let other = begun(&all, "bob");
    assert!(other.end(&Ok("{}".to_owned())));
    let first = begun(&all, "ann");
    // There is no room for another one of hers, and there is for his.
    let refused = all.prepare("ann", None).unwrap();
    assert!(refused.publish().is_none() && !refused.end(&Ok("{}".to_owned())));
    assert!(all.find(refused.id(), "ann").is_none());
    begun(&all, "bob");
    assert!(first.end(&Ok("{}".to_owned())) && all.find(first.id(), "ann").is_some());
    begun(&all, "ann");
    assert!(all.find(first.id(), "ann").is_none() && all.find(other.id(), "bob").is_some());
    assert!(running.iter().all(|it| all.find(it.id(), "ann").is_some()));
    // And of all together.
    let owners: Vec<String> = (0..MOST).map(|it| format!("c{it}")).collect();
    let begun = owners.iter().filter(|it| all.prepare(it, None).unwrap().publish().is_some());
    assert_eq!(begun.count(), MOST - MOST_EACH - 1);
    assert!(all.find(other.id(), "bob").is_none());
}

#[test]
fn no_task_of_a_batch_is_forgotten_before_its_end_can_be_asked_for() {
    let calls = crate::mcp::http::Settings::default().calls;
    let all = tasks();
    let batch: Vec<_> = (0..calls.threads + calls.queue).map(|_| begun(&all, "ann")).collect();
    assert!(batch.iter().all(|it| it.end(&Ok("{}".to_owned()))));
    assert!(batch.iter().all(|it| all.find(it.id(), "ann").is_some()));
}

#[test]
fn results_are_bounded_in_bytes_but_the_last_one_stays() {
    let all = tasks();
    let long = |share: usize| Ok(format!(r#"{{"x":"{}"}}"#, "y".repeat(BYTES_EACH / share)));
    let [early, late, huge] = [(); 3].map(|()| begun(&all, "ann"));
    let his = begun(&all, "bob");
    assert!(his.end(&long(2)) && late.end(&long(2)) && early.end(&long(3)));
    assert!(all.find(late.id(), "ann").is_some());
    assert!(huge.end(&long(1)));
    assert!([&early, &late].iter().all(|it| all.find(it.id(), "ann").is_none()));
    assert!(all.find(huge.id(), "ann").is_some() && all.find(his.id(), "bob").is_some());
}

#[test]
fn an_end_is_forgotten_after_its_time() {
    let all = tasks();
    let (ended, running) = (begun(&all, "ann"), begun(&all, "ann"));
    assert!(ended.end(&Ok("{}".to_owned())));
    sweep(&mut all.all(), Instant::now() + KEPT - LATER);
    assert!(all.find(ended.id(), "ann").is_some());
    sweep(&mut all.all(), Instant::now() + KEPT + LATER);
    assert!(all.find(ended.id(), "ann").is_none() && all.find(running.id(), "ann").is_some());
}

#[test]
fn questions_wait_for_all_their_answers_and_take_no_others() {
    let task = begun(&tasks(), "ann");
    let asks = task.clone();
    let question = |text: &str| format!(r#"{{"method":"elicitation/create","params":{text}}}"#);
    let (one, two) = (question("1"), question("2"));
    let asked = std::thread::spawn(move || asks.ask(&[("b", two), ("a", one)], LATER).unwrap());
    while status(&task) != "input_required" {
        std::thread::sleep(Duration::from_millis(1));
    }
    let text = task.detailed().json();
    assert!(
        text.contains(r#""inputRequests":{"a":{"method":"elicitation/create","params":1},"b":"#)
    );
    let answer = |text: &str| match json::parse(text) {
        Ok(Value::Object(it)) => task.answer(&it),
        _ => panic!("{text}"),
    };
    for text in [r#"{"c":{"action":"accept"}}"#, r#"{"a":5}"#, "{}"] {
        answer(text);
        assert!(task.detailed().json().contains(r#""inputRequests":{"a":"#), "{text}");
    }
    answer(r#"{"a":{"action":"decline"}}"#);
    answer(r#"{"a":{"action":"accept"}}"#);
    assert_eq!(status(&task), "input_required");
    answer(r#"{"b":{"action":"cancel"}}"#);
    let answers = asked.join().unwrap();
    let action = |it: &Object| json::get_text(it, "action").unwrap().to_owned();
    assert_eq!(answers.iter().map(action).collect::<Vec<_>>(), ["cancel", "decline"]);
    assert_eq!(status(&task), "working");
    // A key is never used again, and who cancels waits for nothing.
    assert_eq!(task.ask(&[("a", question("3"))], LATER).unwrap_err().kind(), Kind::Bug);
    let late = task.ask(&[("d", question("4"))], Duration::ZERO).unwrap_err();
    assert_eq!((late.kind(), status(&task).as_str()), (Kind::Denied, "working"));
    task.cancel();
    let cancelled = task.ask(&[("e", question("5"))], LATER).unwrap_err();
    assert_eq!(cancelled.kind(), Kind::Cancelled);
}

#[test]
fn only_an_object_declares_the_extension() {
    let said = |it: &str| {
        let text = format!(r#"{{"_meta":{{"{}":{it}}}}}"#, era::CAPABILITIES_KEY);
        match json::parse(&text) {
            Ok(Value::Object(params)) => declared(&params),
            _ => panic!("{text}"),
        }
    };
    assert!(said(&format!(r#"{{"extensions":{{"{EXTENSION}":{{}}}}}}"#)));
    for it in ["{}", r#"{"extensions":[]}"#, &format!(r#"{{"extensions":{{"{EXTENSION}":null}}}}"#)]
    {
        assert!(!said(it), "{it}");
    }
    let failure = undeclared();
    assert_eq!(
        (failure.code, json::write_object(&failure.data.unwrap())),
        (-32021, format!(r#"{{"requiredCapabilities":{{"extensions":{{"{EXTENSION}":{{}}}}}}}}"#))
    );
}
