//! A chain's reset line as the miner has it: a request to the process that owns the line.

use crate::chain::{ResetError, ResetFuture, ResetLine};
use crate::link::{LinkError, MinerEnd, Request};

/// The reset line of one chain, at the other end of the link.
pub struct LinkReset {
    name: String,
    chain: u8,
    keeper: MinerEnd,
}

impl LinkReset {
    /// The line of a chain, from 0.
    pub fn new(chain: u8, keeper: MinerEnd) -> Self {
        Self {
            name: format!("chain {chain} reset"),
            chain,
            keeper,
        }
    }

    async fn ask(&self, doing: &'static str, request: Request) -> Result<(), ResetError> {
        self.keeper
            .request(request)
            .await
            .map_err(|error: LinkError| ResetError {
                line: self.name.clone(),
                doing,
                reason: error.to_string(),
            })
    }
}

impl ResetLine for LinkReset {
    fn name(&self) -> &str {
        &self.name
    }

    fn hold(&mut self) -> ResetFuture<'_> {
        let request = Request::HoldReset { chain: self.chain };
        Box::pin(self.ask("hold", request))
    }

    fn release(&mut self) -> ResetFuture<'_> {
        let request = Request::ReleaseReset { chain: self.chain };
        Box::pin(self.ask("release", request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Down, Refusal, Up, in_process};

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_the_keeper_is_the_lines_error() {
        let (miner, mut keeper) = in_process();
        let mut line = LinkReset::new(2, miner);
        let released = tokio::spawn(async move { line.release().await });
        let Ok(Down::Request { id, request }) = keeper.receive().await else {
            panic!("a request was sent")
        };
        assert_eq!(request, Request::ReleaseReset { chain: 2 });
        let result = Err(Refusal::OperatorOnly);
        keeper
            .send(Up::Reply { id, result })
            .expect("the miner listens");
        let error = released.await.expect("no panic").expect_err("refused");
        assert_eq!(
            (error.line.as_str(), error.doing),
            ("chain 2 reset", "release")
        );
    }
}
