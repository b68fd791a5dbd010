//! A tree of boxes to bend a file with.

/// A box, its children read if it is a container.
#[derive(Clone)]
pub struct Boxed {
    pub kind: [u8; 4],
    pub body: Vec<u8>,
    pub children: Vec<Boxed>,
}

const CONTAINERS: [&[u8; 4]; 7] = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf"];

impl Boxed {
    /// The boxes in `bytes`.
    pub fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut all = Vec::new();
        while bytes.len() >= 8 {
            let size = u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
            let kind: [u8; 4] = bytes[4..8].try_into().expect("four bytes");
            let body = bytes[8..size].to_vec();
            let is_container = CONTAINERS.contains(&&kind);
            let children = if is_container { Self::read_all(&body) } else { Vec::new() };
            all.push(Self { kind, body: if is_container { Vec::new() } else { body }, children });
            bytes = &bytes[size..];
        }
        all
    }

    /// A box of `kind`.
    pub fn new(kind: [u8; 4], body: Vec<u8>) -> Self {
        Self { kind, body, children: Vec::new() }
    }

    /// Its bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut inner = self.body.clone();
        inner.extend(self.children.iter().flat_map(Self::write));
        let mut out = u32::try_from(inner.len() + 8).expect("a small file").to_be_bytes().to_vec();
        out.extend(self.kind);
        out.extend(inner);
        out
    }

    /// The first box at `path` below this one.
    pub fn at(&mut self, path: &str) -> &mut Self {
        path.split('/').fold(self, |node, name| {
            let found = node.children.iter_mut().find(|child| child.kind == name.as_bytes());
            found.unwrap_or_else(|| panic!("no {name} of {path}"))
        })
    }

    /// Puts `child` in the place of the first child of `kind`.
    pub fn replace(&mut self, kind: [u8; 4], child: Self) {
        let at = self.children.iter().position(|c| c.kind == kind).expect("the box");
        self.children[at] = child;
    }

    /// The number of 32 bits at byte `at` of the body.
    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.body[at..at + 4].try_into().expect("four bytes"))
    }

    /// Sets the number of 32 bits at byte `at` of the body.
    pub fn set(&mut self, at: usize, number: u32) {
        self.body[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
}

/// `file`, whose index is last, with its `moov` changed by `bend`: no media byte moves.
pub fn bend(file: &[u8], bend: impl FnOnce(&mut Boxed)) -> Vec<u8> {
    let mut boxes = Boxed::read_all(file);
    let moov = boxes.last_mut().expect("boxes");
    assert_eq!(&moov.kind, b"moov", "the index is last");
    bend(moov);
    boxes.iter().flat_map(Boxed::write).collect()
}
