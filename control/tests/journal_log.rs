//! The journal's file: what was acknowledged is there, what was not is whole or absent, and
//! whatever else is wrong is refused.

mod common;

use common::Dice;
use common::disk::{Disk, Mood};
use serin_control::journal::{Log, LogError, Reserve};

const FILE: &str = "journal";

fn open(disk: &Disk) -> Result<(Log<Disk>, Vec<String>), LogError> {
    let mut lines = Vec::new();
    let log = Log::open(disk.clone(), FILE, |json| lines.push(body(json)))?;
    Ok((log, lines))
}

/// What was committed, without what the log adds.
fn body(json: &str) -> String {
    let added = json.strip_prefix("{\"format\":2,\"bytes\":\"").expect("the format and the length");
    let (length, rest) = added.split_at(8);
    assert_eq!(length.parse(), Ok(json.len()));
    format!("{{{}", rest.strip_prefix("\",").expect("the end of the length"))
}

/// Lines of very different lengths: some fit a sector, some span several.
fn line(i: usize) -> String {
    format!("{{\"n\":{i},\"pad\":\"{}\"}}", "x".repeat(i * 97 % 3000))
}

#[test]
fn lines_come_back_in_order_and_a_closed_file_is_nothing_but_lines() {
    let disk = Disk::default();
    let (mut log, _) = open(&disk).unwrap();
    (0..50).for_each(|i| log.commit(&line(i), Reserve::Use).unwrap());
    log.close().unwrap();
    let text = String::from_utf8(disk.bytes(FILE)).unwrap();
    assert!(text.lines().all(|l| l.as_bytes()[16] == b' ' && l.ends_with('}')));
    let (_, lines) = open(&disk).unwrap();
    assert_eq!(lines, (0..50).map(line).collect::<Vec<_>>());
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_acknowledged() {
    let total = {
        let disk = Disk::default();
        let (mut log, _) = open(&disk).unwrap();
        (0..40).for_each(|i| log.commit(&line(i), Reserve::Use).unwrap());
        disk.operations()
    };
    let mut cases = 0;
    for at in 1..=total {
        for seed in 0..8 {
            let disk = Disk::default();
            disk.dies_at(at);
            let mut acknowledged = 0;
            if let Ok((mut log, _)) = open(&disk) {
                acknowledged =
                    (0..40).take_while(|i| log.commit(&line(*i), Reserve::Use).is_ok()).count();
            }
            let mut dice = Dice(at * 1000 + seed);
            let found = disk.after_power_cut(|| dice.coin());
            let (mut log, lines) = open(&found).unwrap_or_else(|e| panic!("at {at}/{seed}: {e}"));
            assert!(lines.len() == acknowledged || lines.len() == acknowledged + 1, "{at}/{seed}");
            assert_eq!(lines, (0..lines.len()).map(line).collect::<Vec<_>>(), "{at}/{seed}");
            log.commit("{\"after\":true}", Reserve::Use).unwrap();
            let (_, again) = open(&found).unwrap();
            assert_eq!(again.len(), lines.len() + 1, "{at}/{seed}");
            cases += 1;
        }
    }
    assert!(cases >= 200, "{cases}");
}

#[test]
fn any_changed_bit_of_an_acknowledged_line_is_refused() {
    let disk = Disk::default();
    let (mut log, _) = open(&disk).unwrap();
    (0..4).for_each(|i| log.commit(&line(i), Reserve::Use).unwrap());
    let whole = disk.bytes(FILE);
    let size = usize::try_from(log.size()).unwrap();
    // With the newline of the last line, and without much of the reserve, which takes time to read.
    for at in 0..size {
        for bit in 0..8 {
            let mut bytes = whole[..size + 600].to_vec();
            bytes[at] ^= 1 << bit;
            disk.put(FILE, bytes);
            let refused = matches!(open(&disk), Err(LogError::Corrupt { .. }));
            assert!(refused, "a change of bit {bit} at byte {at} of {size} went unnoticed");
        }
    }
}

#[test]
fn a_last_line_that_lost_its_newline_is_whole_and_the_next_one_brings_it() {
    let disk = Disk::default();
    let (mut log, _) = open(&disk).unwrap();
    (0..3).for_each(|i| log.commit(&line(i), Reserve::Use).unwrap());
    log.close().unwrap();
    let mut bytes = disk.bytes(FILE);
    assert_eq!(bytes.pop(), Some(b'\n'));
    disk.put(FILE, bytes);
    let (mut log, lines) = open(&disk).unwrap();
    assert_eq!(lines.len(), 3);
    log.commit(&line(3), Reserve::Use).unwrap();
    let (_, lines) = open(&disk).unwrap();
    assert_eq!(lines, (0..4).map(line).collect::<Vec<_>>());
}

#[test]
fn on_a_full_disk_what_raises_leaves_room_for_what_lowers() {
    let disk = Disk::default();
    let (mut log, _) = open(&disk).unwrap();
    log.commit(&line(1), Reserve::Keep).unwrap();
    disk.mood(Mood::Full);
    let raised = (0..).take_while(|_| log.commit(&line(31), Reserve::Keep).is_ok()).count();
    let lowered = (0..).take_while(|_| log.commit(&line(31), Reserve::Use).is_ok()).count();
    assert!(raised >= 20 && lowered >= 40, "{raised} that raise and {lowered} that lower fit");
    let (_, lines) = open(&disk).unwrap();
    assert_eq!(lines.len(), 1 + raised + lowered);
}

#[test]
fn a_lost_or_swapped_line_is_refused() {
    let disk = Disk::default();
    let (mut log, _) = open(&disk).unwrap();
    (0..6).for_each(|i| log.commit(&line(i), Reserve::Use).unwrap());
    log.close().unwrap();
    let text = String::from_utf8(disk.bytes(FILE)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without: String = [&lines[..2], &lines[3..]].concat().join("\n") + "\n";
    disk.put(FILE, without.into_bytes());
    assert!(matches!(open(&disk), Err(LogError::Corrupt { line: 3, .. })));
    let swapped = [lines[1], lines[0]].join("\n") + "\n";
    disk.put(FILE, swapped.into_bytes());
    assert!(matches!(open(&disk), Err(LogError::Corrupt { line: 1, .. })));
}

#[test]
fn a_full_disk_still_takes_the_record_of_a_rollback() {
    let disk = Disk::default();
    let (mut log, _) = open(&disk).unwrap();
    log.commit(&line(1), Reserve::Use).unwrap();
    disk.mood(Mood::Full);
    let fitted = (0..).take_while(|_| log.commit(&line(31), Reserve::Use).is_ok()).count();
    assert!(fitted >= 40, "only {fitted} records of 3 KB fit");
    disk.mood(Mood::Well);
    log.commit("{\"after\":true}", Reserve::Use).unwrap();
    let (_, lines) = open(&disk).unwrap();
    assert_eq!(lines.len(), fitted + 2);
}

#[test]
fn a_disk_that_turns_read_only_and_back_loses_only_what_it_refused() {
    let disk = Disk::default();
    let (mut log, _) = open(&disk).unwrap();
    log.commit(&line(1), Reserve::Use).unwrap();
    disk.mood(Mood::ReadOnly);
    assert!(log.commit(&line(2), Reserve::Use).is_err());
    disk.mood(Mood::Well);
    log.commit(&line(3), Reserve::Use).unwrap();
    let (_, lines) = open(&disk).unwrap();
    assert_eq!(lines, [line(1), line(3)]);
}

#[test]
fn a_rewrite_is_old_or_new_at_any_power_cut() {
    let old: Vec<String> = (0..10).map(line).collect();
    let new: Vec<String> = (20..23).map(line).collect();
    for at in 1..=8 {
        for seed in 0..8 {
            let disk = Disk::default();
            let (mut log, _) = open(&disk).unwrap();
            old.iter().for_each(|l| log.commit(l, Reserve::Use).unwrap());
            disk.dies_at(disk.operations() + at);
            let done = log.rewrite(new.iter().cloned()).is_ok();
            let mut dice = Dice(at * 100 + seed);
            let (_, lines) = open(&disk.after_power_cut(|| dice.coin())).unwrap();
            assert!(lines == new || (!done && lines == old), "at {at}/{seed}");
        }
    }
}
