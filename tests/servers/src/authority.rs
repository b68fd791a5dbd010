//! Certificates for tests, made by openssl.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// An authority of a test's own, and the folder of all that it signs.
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key, files in PEM.
pub struct Signed {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Signed {
    /// The names of both files.
    pub fn files(&self) -> [&str; 2] {
        [&self.certificate, &self.key].map(|file| file.to_str().expect("temporary folders have plain names"))
    }
}

impl Authority {
    /// A new one, that nobody else believes.
    #[allow(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        let (key, certificate) = (authority.file("ca.key"), authority.file("ca.pem"));
        #[rustfmt::skip]
        openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", &key, "-out", &certificate]);
        authority
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("temporary folders have plain names").to_owned()
    }

    /// Its own certificate, by which others know what it signs.
    pub fn certificate(&self) -> PathBuf {
        self.file("ca.pem").into()
    }

    /// A certificate for loopback with the serial number `number`, in files called `name`: signed again under that name, it
    /// replaces the one before, each file at once.
    pub fn sign(&self, name: &str, number: u32) -> Signed {
        let [key, request, certificate, extensions] =
            ["key", "csr", "pem", "ext"].map(|kind| self.file(&format!("{name}.{kind}")));
        let (new_key, new) = (format!("{key}.new"), format!("{certificate}.new"));
        fs::write(&extensions, "subjectAltName=IP:127.0.0.1,DNS:localhost\n").expect("a file can be written");
        #[rustfmt::skip]
        openssl(&["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=service", "-keyout", &new_key, "-out", &request]);
        #[rustfmt::skip]
        openssl(&["x509", "-req", "-in", &request, "-CA", &self.file("ca.pem"), "-CAkey", &self.file("ca.key"), "-days", "2",
            "-set_serial", &number.to_string(), "-extfile", &extensions, "-out", &new]);
        for (from, to) in [(&new_key, &key), (&new, &certificate)] {
            fs::rename(from, to).expect("a file can be renamed");
        }
        Signed { certificate: certificate.into(), key: key.into() }
    }
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("openssl is needed: {error}"));
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
