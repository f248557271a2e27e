use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

const BUFFER: usize = 128 << 10;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Zstandard's limit on the window a frame may ask for: 2^27 bytes, what its own tools accept by default.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Decompresses gzip and zstd by their magic numbers, whatever the media type says; anything else passes as it is.
pub(in crate::image) fn decompress(
    mut source: impl Read + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = [0; ZSTD.len()];
    let mut filled = 0;
    while filled < magic.len() {
        match source.read(&mut magic[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(magic[..filled].to_vec()).chain(source));
    Ok(if magic[..filled].starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(whole))
    } else if magic[..filled] == *ZSTD {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(whole)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Box::new(decoder)
    } else {
        Box::new(whole)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn roundtrip(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(io::Cursor::new(bytes))?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn the_format_is_recognised_by_content() {
        let text = b"hello ".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let two_members = [gzip.clone(), gzip.clone()].concat();
        assert_eq!(roundtrip(gzip.clone()).unwrap(), text);
        assert_eq!(roundtrip(two_members).unwrap(), text.repeat(2));
        assert_eq!(roundtrip(zstd::encode_all(&text[..], 3).unwrap()).unwrap(), text);
        assert_eq!(roundtrip(text.clone()).unwrap(), text);
        assert_eq!(roundtrip(b"x".to_vec()).unwrap(), b"x");
        assert_eq!(roundtrip(Vec::new()).unwrap(), b"");
        assert!(roundtrip(gzip[..gzip.len() / 2].to_vec()).is_err());
    }
}
