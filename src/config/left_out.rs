//! Which secrets a configuration does not hold because it was made of a print.

use super::schema::Config;

impl Config {
    /// Paths of the fields in which a print's mark stands instead of a secret, as `pool[0].password`. A configuration with some is whole and can
    /// be checked; whoever needs one of these secrets will refuse the machine.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        let pools = self.pool.iter().enumerate().flat_map(|(index, pool)| {
            [
                ("password", pool.password.is_left_out()),
                ("proxy_password", pool.proxy_password.is_left_out()),
            ]
            .map(|(name, is)| (format!("pool[{index}].{name}"), is))
        });
        let tokens = self.token.iter().enumerate().map(|(index, token)| {
            let path = format!("token[{index}].sha256");
            (path, token.sha256.is_left_out())
        });
        let targets = self
            .alert_target
            .iter()
            .enumerate()
            .flat_map(|(index, target)| {
                [
                    ("url", target.url.is_left_out()),
                    ("password", target.password.is_left_out()),
                ]
                .map(|(name, is)| (format!("alert_target[{index}].{name}"), is))
            });
        let all = pools.chain(tokens).chain(targets);
        all.filter_map(|(path, is)| is.then_some(path)).collect()
    }
}
