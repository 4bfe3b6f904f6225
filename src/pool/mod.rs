//! Pool sessions: Stratum v1 and solo against the owner's node.
