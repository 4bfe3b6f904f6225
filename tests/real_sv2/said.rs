//! What the pool has written about shares.

use std::collections::HashMap;

/// Names that the pool has for a share of a job from before the newest block: it remembers the jobs of one block.
const STALE: [&str; 2] = ["stale-share", "invalid-job-id"];

/// The pool's log, read.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    pub shares: usize,
    pub blocks: usize,
    /// Shares that a block of somebody else has overtaken on their way. The translator gives its verdict before the pool
    /// has theirs, so the test goes on, and finds the next block, while they are still between the two.
    pub overtaken: usize,
    /// Lines about shares that were refused for any other reason.
    pub errors: Vec<String>,
}

impl Said {
    pub fn of(log: &str) -> Self {
        let mut said = Self::default();
        // Jobs of shares by sequence number, and the template of the newest block.
        let (mut jobs, mut tip) = (HashMap::new(), 0);
        // A template makes one job, so both numbers rise together: how far they are apart shows in the first good share.
        let mut ahead = None;
        for line in log.lines() {
            let number = |name| number(line, name);
            if line.contains("Received: SetNewPrevHash") {
                tip = number("template_id").unwrap_or(tip);
            } else if line.contains("Received SubmitShares") {
                said.shares += 1;
                if let (Some(sequence), Some(job)) = (number("sequence_number"), number("job_id")) {
                    jobs.insert(sequence, job);
                }
            } else if line.contains("SubmitSharesSuccess") {
                let job = number("last_sequence_number").and_then(|sequence| jobs.get(&sequence));
                ahead = ahead.or(job.map(|job| job - tip));
            } else if line.contains("Block Found") {
                said.blocks += 1;
            } else if line.contains("SubmitSharesError") {
                let job = number("sequence_number").and_then(|sequence| jobs.get(&sequence));
                let is_old = job.zip(ahead).is_some_and(|(job, ahead)| job - ahead < tip);
                if is_old && STALE.iter().any(|name| line.contains(name)) {
                    said.overtaken += 1;
                } else {
                    said.errors.push(line.to_owned());
                }
            }
        }
        said
    }
}

/// Shares that the translator has taken and not sent on, as a block came between its own two looks at them.
pub fn dropped(log: &str) -> usize {
    let is_stale = |line: &&str| {
        line.contains("rejected by upstream channel validation") && line.contains("Stale(")
    };
    log.lines().filter(is_stale).count()
}

/// The number behind a name, as in `job_id=7` or `template_id: 2`.
fn number(line: &str, name: &str) -> Option<i64> {
    let (_, behind) = line.split_once(name)?;
    let digits = behind.trim_start_matches(['=', ':', ' ']);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

const TIP: &str = "Received: SetNewPrevHash { template_id: ";

#[test]
fn a_share_of_the_block_before_is_overtaken_and_no_other_refusal_is() {
    let share = |sequence, job| {
        format!(
            "Received SubmitSharesExtended: SubmitSharesExtended(channel_id=2, sequence_number={sequence}, job_id={job}, nonce=0x0000000a)\n"
        )
    };
    let good = |sequence| {
        format!(
            "SubmitSharesExtended: SubmitSharesSuccess(channel_id=2, last_sequence_number={sequence}, new_submits_accepted_count=1)\n"
        )
    };
    let error = |sequence, code| {
        format!(
            "SubmitSharesError: downstream_id: 1, channel_id: 2, sequence_number: {sequence}, error_code: {code}\n"
        )
    };
    let begin = format!("{TIP}4, x }}\n{}{}", share(1, 5), good(1));
    for (behind, overtaken, errors) in [
        (
            format!("{TIP}5, x }}\n{}{}", share(2, 5), error(2, "stale-share")),
            1,
            0,
        ),
        (
            format!(
                "{TIP}5, x }}\n{TIP}6, x }}\n{}{}",
                share(2, 5),
                error(2, "invalid-job-id")
            ),
            1,
            0,
        ),
        // Of the newest block, or for another reason, or for a share that nobody has seen.
        (format!("{}{}", share(2, 5), error(2, "stale-share")), 0, 1),
        (
            format!(
                "{TIP}5, x }}\n{}{}",
                share(2, 6),
                error(2, "invalid-job-id")
            ),
            0,
            1,
        ),
        (
            format!(
                "{TIP}5, x }}\n{}{}",
                share(2, 5),
                error(2, "difficulty-too-low")
            ),
            0,
            1,
        ),
        (format!("{TIP}5, x }}\n{}", error(9, "stale-share")), 0, 1),
    ] {
        let said = Said::of(&format!("{begin}{behind}"));
        assert_eq!(
            (said.overtaken, said.errors.len()),
            (overtaken, errors),
            "{behind}"
        );
    }
}
