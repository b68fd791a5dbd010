//! Who may talk to the listeners, and by what they are encrypted. Files are read here once, so that what is wrong with them is
//! said with all other mistakes; whoever uses them reads them again.

use super::Layers;
use super::values::not_empty;
use std::net::SocketAddr;
use std::path::PathBuf;
use vidstream_mesh::tls::{ClientTls, Identity, ServerTls};
use vidstream_mesh::token::MeshToken;

/// The secrets of a process: files only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Secure {
    /// The certificate of the public listener; none leaves it as it is.
    pub public: Option<Identity>,
    /// What services of the mesh prove by that they belong to it.
    pub mesh_token: Option<PathBuf>,
    /// The certificate of the mesh listener and of clients of other services, and the authorities that sign all of these.
    pub mesh: Option<(Identity, PathBuf)>,
}

impl Secure {
    /// What the public listener encrypts by.
    pub fn public_tls(&self) -> anyhow::Result<Option<ServerTls>> {
        Ok(self.public.clone().map(|identity| ServerTls::read(identity, None)).transpose()?)
    }

    /// What the mesh listener encrypts by, and knows its clients by.
    pub fn mesh_tls(&self) -> anyhow::Result<Option<ServerTls>> {
        let read = |(identity, authorities)| ServerTls::read(identity, Some(authorities));
        Ok(self.mesh.clone().map(read).transpose()?)
    }

    /// What clients of other services encrypt by.
    pub fn client_tls(&self) -> anyhow::Result<Option<ClientTls>> {
        let read = |(identity, authorities)| ClientTls::read(Some(identity), authorities);
        Ok(self.mesh.clone().map(read).transpose()?)
    }

    /// The token of the mesh.
    pub fn token(&self) -> anyhow::Result<Option<MeshToken>> {
        Ok(self.mesh_token.clone().map(MeshToken::read).transpose()?)
    }
}

impl Layers {
    /// What `mesh-token-file` and the settings with `tls` in their names give.
    pub(super) fn secure(&mut self, mesh_listen: Option<SocketAddr>) -> Secure {
        let mut file = |name| self.read(name, None, |v| not_empty(v).map(|v| Some(PathBuf::from(v))));
        let [token, cert, key] = ["mesh-token-file", "tls-cert", "tls-key"].map(&mut file);
        let [mesh_cert, mesh_key, mesh_ca] = ["mesh-tls-cert", "mesh-tls-key", "mesh-tls-ca"].map(file);
        let public = match (cert, key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (Some(_), None) => self.lacks("tls-cert", "--tls-key, the key of that certificate"),
            (None, Some(_)) => self.lacks("tls-key", "--tls-cert, the certificate of that key"),
        };
        let mesh = match (mesh_cert, mesh_key, mesh_ca) {
            (Some(certificate), Some(key), Some(ca)) => Some((Identity { certificate, key }, ca)),
            (None, None, None) => None,
            _ => {
                let text = "--mesh-tls-cert, --mesh-tls-key and --mesh-tls-ca are needed together: services prove to each other who they are";
                self.mistakes.push(text.to_owned());
                None
            }
        };
        if let Some(address) = mesh_listen.filter(|address| !address.ip().is_loopback() && token.is_none()) {
            self.mistakes.push(format!(
                "--mesh-listen: {address} is not loopback, so whoever reaches it could do everything; name a \
                 --mesh-token-file that all services share"
            ));
        }
        let secure = Secure { public, mesh_token: token, mesh };
        for (name, read) in [
            ("--tls-cert", secure.public_tls().map(drop)),
            ("--mesh-token-file", secure.token().map(drop)),
            ("--mesh-tls-cert", secure.mesh_tls().map(drop)),
            ("--mesh-tls-ca", secure.client_tls().map(drop)),
        ] {
            if let Err(why) = read {
                self.mistakes.push(format!("{name}: {why}"));
            }
        }
        secure
    }

    fn lacks<T>(&mut self, name: &str, what: &str) -> Option<T> {
        let origin = self.values.get(name).map_or_else(String::new, |given| given.origin.clone());
        self.mistakes.push(format!("{origin}: it needs {what}"));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn secure(flags: &[(&'static str, &str)]) -> Result<Secure, String> {
        let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Settings::resolve(None, [], flags).map(|settings| settings.secure).map_err(|mistakes| mistakes.0.join("\n"))
    }

    #[test]
    fn what_can_not_work_together_is_refused_in_words() {
        assert_eq!(secure(&[]), Ok(Secure::default()));
        let missing = "--mesh-token-file: the mesh token file `/no/such/file` can't be read";
        let cases: [(&[(&'static str, &str)], &str); 7] = [
            (&[("tls-cert", "a.pem")], "--tls-cert: it needs --tls-key"),
            (&[("tls-key", "a.key")], "--tls-key: it needs --tls-cert"),
            (&[("mesh-tls-cert", "a"), ("mesh-tls-key", "b")], "are needed together"),
            (&[("mesh-tls-ca", "a")], "are needed together"),
            (&[("mesh-listen", "0.0.0.0:9")], "0.0.0.0:9 is not loopback"),
            (&[("mesh-token-file", "/no/such/file")], missing),
            (&[("tls-cert", "/no/such/a.pem"), ("tls-key", "b.key")], "--tls-cert: /no/such/a.pem: "),
        ];
        for (flags, part) in cases {
            let mistakes = secure(flags).expect_err(part);
            assert!(mistakes.contains(part) && !mistakes.contains('\n'), "{mistakes}");
        }
    }

    #[test]
    fn a_mesh_listener_beyond_loopback_needs_a_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "0123456789abcdef\n").expect("written");
        let name = file.to_str().expect("a name");
        let secure = secure(&[("mesh-listen", "0.0.0.0:9"), ("mesh-token-file", name)]).expect("valid");
        assert_eq!(secure.mesh_token, Some(file));
    }
}
