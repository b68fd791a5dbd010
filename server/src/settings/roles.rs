//! What roles need of the other settings, and what they have no use for.

use super::{Layers, Settings};
use crate::roles::{Role, Roles};
use vidstream_backends::queue::QueueUrl;

/// Who uses a setting that some roles have no use for.
const USED_BY: &[(&str, &[Role])] = &[
    ("public-url", &[Role::Gateway]),
    ("allow-host", &[Role::Gateway]),
    ("tls-cert", &[Role::Gateway]),
    ("tls-key", &[Role::Gateway]),
    ("upload-memory", &[Role::Gateway]),
    ("cache-memory", &[Role::Gateway]),
    ("cache-dir", &[Role::Gateway]),
    ("cache-size", &[Role::Gateway]),
    ("presign", &[Role::Gateway]),
    ("catalog", &[Role::Catalog]),
    ("upload-expiry", &[Role::Catalog]),
    ("purge-after", &[Role::Catalog]),
    ("garbage-margin", &[Role::Catalog]),
    ("queue", &[Role::Catalog, Role::Transcoder]),
    ("events", &[Role::Catalog, Role::Transcoder]),
    ("ffmpeg", &[Role::Transcoder]),
    ("ffmpeg-cage", &[Role::Transcoder]),
    ("insecure-ffmpeg", &[Role::Transcoder]),
    ("ffmpeg-memory", &[Role::Transcoder]),
    ("ffmpeg-time", &[Role::Transcoder]),
    ("ffmpeg-stall", &[Role::Transcoder]),
    ("ffmpeg-output", &[Role::Transcoder]),
    ("ffmpeg-jobs", &[Role::Transcoder]),
];

impl Layers {
    /// In words, what was given and is used by nothing that runs here. It is no mistake: processes share files of variables.
    pub(super) fn unused(&self, roles: &Roles) -> Vec<String> {
        let useless = USED_BY.iter().filter(|(_, users)| !users.iter().any(|role| roles.has(*role)));
        let words = useless.filter_map(|(name, users)| {
            let users: Vec<_> = users.iter().map(|role| role.name()).collect();
            let origin = &self.values.get(name)?.origin;
            Some(format!("{origin} is not used: it is for a {}, and this process is none", users.join(" or ")))
        });
        words.collect()
    }

    /// Refuses what can't work together when services run in processes of their own.
    pub(super) fn check_roles(&mut self, settings: &Settings) {
        let Settings { roles, .. } = settings;
        let asks_catalog = !roles.has(Role::Catalog);
        let asks_transcoder = roles.has(Role::Gateway) && !roles.has(Role::Transcoder);
        let is_asked = roles.are_some() && (roles.has(Role::Catalog) || roles.has(Role::Transcoder));
        self.needs(asks_catalog, "to-catalog", "say where the catalog's mesh listener is, HOST:PORT");
        self.needs(asks_transcoder, "to-transcoder", "say where the transcoder's mesh listener is, HOST:PORT");
        self.needs(
            is_asked,
            "mesh-listen",
            "other processes have to reach it; say on which address, such as 0.0.0.0:7070",
        );
        self.needs(
            roles.are_some(),
            "objects",
            "processes that share videos have to share their bytes; say where they are",
        );
        self.refuses(!asks_catalog, "to-catalog", "the catalog runs in this process");
        self.refuses(!asks_transcoder, "to-transcoder", "this process asks no transcoder in another one");
        self.refuses(
            !roles.has(Role::Gateway),
            "listen",
            "only the gateway has a public listener, and it does not run here",
        );
        let workers_apart = roles.has(Role::Catalog) != roles.has(Role::Transcoder);
        if workers_apart && settings.queue == QueueUrl::Local {
            let rings = "bells of a `local:` queue reach nobody outside this process; set --queue amqp://HOST";
            self.mistake_of_roles(&format!("{rings}, or run catalog and transcoder in one process"));
        }
    }

    fn needs(&mut self, needed: bool, name: &'static str, why: &str) {
        if needed && !self.values.contains_key(name) {
            self.mistake_of_roles(&format!("--{name} is missing: {why}"));
        }
    }

    fn refuses(&mut self, refused: bool, name: &'static str, why: &str) {
        if let Some(given) = self.values.get(name).filter(|_| refused) {
            self.mistakes.push(format!("{} has no use here: {why}", given.origin));
        }
    }

    fn mistake_of_roles(&mut self, text: &str) {
        let origin = self.values.get("roles").map_or("--roles", |given| &given.origin);
        self.mistakes.push(format!("{origin}: {text}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::roles::Role;
    use crate::settings::{Mistakes, Settings};

    fn resolved(flags: &str) -> Result<Settings, Mistakes> {
        let names =
            ["mesh-listen", "roles", "to-catalog", "to-transcoder", "objects", "queue", "events", "listen", "catalog"];
        let flags = names
            .into_iter()
            .filter_map(|name| {
                let mut words = flags.split_whitespace();
                words.find(|word| *word == format!("--{name}"))?;
                Some((name, words.next()?.to_owned()))
            })
            .collect();
        Settings::resolve(None, [], flags)
    }

    #[test]
    fn each_role_runs_with_what_it_needs() {
        let gateway =
            "--roles gateway --objects s3://videos/mesh --to-catalog catalog:7070 --to-transcoder a:7070,b:7071";
        let gateway = resolved(gateway).expect("a gateway");
        assert!(gateway.roles.has(Role::Gateway) && !gateway.roles.has(Role::Catalog));
        let catalog = "--roles catalog --objects s3://videos/mesh --mesh-listen 127.0.0.1:7070 --queue amqp://h";
        resolved(catalog).expect("a catalog");
        let transcoder = "--roles transcoder --objects s3://videos/mesh --mesh-listen 127.0.0.1:1 --queue amqp://h --to-catalog [::1]:7070";
        resolved(transcoder).expect("a transcoder");
        let behind = "--roles catalog,transcoder --objects file:/srv/o --mesh-listen 127.0.0.1:7070";
        assert!(resolved(behind).expect("all but the gateway").to_catalog.is_none());
    }

    #[test]
    fn what_nothing_uses_here_is_said() {
        let shared = "--objects s3://videos/mesh --queue amqp://h --events redis://h --catalog mongodb://h";
        let unused = |own: &str| resolved(&format!("{shared} {own}")).expect("valid").unused;
        let apart = "--roles transcoder --mesh-listen 127.0.0.1:1 --to-catalog c:7070";
        assert_eq!(unused(apart), ["--catalog is not used: it is for a catalog, and this process is none"]);
        let gateway = unused("--roles gateway --to-catalog c:7070 --to-transcoder t:7070");
        assert_eq!(gateway[1], "--queue is not used: it is for a catalog or transcoder, and this process is none");
        assert_eq!(gateway.len(), 3, "{gateway:?}");
        assert!(unused("--roles all").is_empty());
    }

    #[test]
    fn what_can_t_work_together_is_refused() {
        for (flags, parts) in [
            ("--roles gateway", &["--to-catalog", "--to-transcoder", "--objects"][..]),
            ("--roles catalog", &["--mesh-listen", "--objects", "`local:` queue"]),
            ("--roles transcoder", &["--to-catalog", "--mesh-listen", "--objects", "`local:` queue"]),
            ("--roles all --to-catalog c:1", &["--to-catalog has no use"]),
            ("--to-transcoder c:1", &["--to-transcoder has no use"]),
            (
                "--roles catalog,transcoder --listen 127.0.0.1:1 --mesh-listen 127.0.0.1:2 --objects file:/o",
                &["--listen has no use"],
            ),
        ] {
            let Mistakes(mistakes) = resolved(flags).expect_err(flags);
            for part in parts {
                assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "{part} in {mistakes:#?}");
            }
            assert_eq!(mistakes.len(), parts.len(), "{flags}: {mistakes:#?}");
        }
    }
}
