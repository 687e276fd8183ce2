//! Frames there and back, and bytes that are none.

use proptest::prelude::*;

use super::*;

fn examples() -> Vec<Frame> {
    let headers = || Headers::from([("streamtype", "data"), ("port", "80")]);
    vec![
        Frame::SynStream { stream: 1, fin: false, headers: headers() },
        Frame::SynReply { stream: 1, fin: true, headers: Headers::default() },
        Frame::Headers { stream: 3, fin: false, headers: headers() },
        Frame::RstStream { stream: 5, why: Reset::RefusedStream },
        Frame::RstStream { stream: 5, why: Reset::Other(5) },
        Frame::Settings(vec![(1, 4, 100), (0, 7, 65_536)]),
        Frame::Ping(7),
        Frame::GoAway { last_stream: 9, status: 0 },
        Frame::WindowUpdate { stream: 3, delta: 32_768 },
        Frame::Data { stream: 3, fin: false, bytes: Bytes::from_static(b"hello") },
        Frame::Data { stream: 3, fin: true, bytes: Bytes::new() },
    ]
}

fn written(frames: &[Frame]) -> BytesMut {
    let (mut writer, mut bytes) = (Writer::default(), BytesMut::new());
    frames.iter().for_each(|frame| writer.encode(frame.clone(), &mut bytes).unwrap());
    bytes
}

/// All frames of some bytes that come in pieces; and whether they ended in an error.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, bool) {
    let (mut reader, mut buffer, mut frames) = (Reader::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match reader.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

#[test]
fn frames_are_read_as_they_were_written() {
    let bytes = written(&examples());
    assert_eq!(read([&bytes[..]].into_iter()), (examples(), false));
    // Byte by byte, only data comes in smaller pieces.
    let (frames, failed) = read(bytes.chunks(1));
    let data: Vec<u8> = frames
        .iter()
        .filter_map(|frame| if let Frame::Data { bytes, .. } = frame { Some(&bytes[..]) } else { None })
        .flatten()
        .copied()
        .collect();
    assert_eq!((&data[..], failed), (&b"hello"[..], false));
    let is_data = |frame: &Frame| matches!(frame, Frame::Data { .. });
    let controls = |frames: &[Frame]| frames.iter().filter(|frame| !is_data(frame)).cloned().collect::<Vec<_>>();
    assert_eq!(controls(&frames), controls(&examples()));
}

#[test]
fn the_bytes_are_those_of_the_protocol() {
    assert_eq!(written(&[Frame::Ping(1)])[..], [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]);
    let data = Frame::Data { stream: 5, fin: true, bytes: Bytes::from_static(b"x") };
    assert_eq!(written(&[data])[..], [0, 0, 0, 5, 1, 0, 0, 1, b'x']);
}

#[test]
fn long_data_goes_in_several_frames_of_which_the_last_ends_the_stream() {
    let bytes = Bytes::from(vec![7; 2 * MAX_DATA + 1]);
    let (frames, _) = read([&written(&[Frame::Data { stream: 1, fin: true, bytes }])[..]].into_iter());
    let told = frames.iter().map(|frame| match frame {
        Frame::Data { fin, bytes, .. } => (*fin, bytes.len()),
        other => panic!("{other:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), [(false, MAX_DATA), (false, MAX_DATA), (true, 1)]);
}

#[test]
fn a_frame_of_an_unknown_type_is_passed_over() {
    let mut bytes = BytesMut::from(&[0x80, 3, 0, 99, 0, 0, 0, 2, 1, 2][..]);
    bytes.unsplit(written(&[Frame::Ping(3)]));
    assert_eq!(read([&bytes[..]].into_iter()), (vec![Frame::Ping(3)], false));
}

#[test]
fn malformed_frames_are_refused() {
    let refused: [&[u8]; 6] = [
        // Another version.
        &[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1],
        // Longer than is read.
        &[0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff],
        // Too short for what it is.
        &[0x80, 3, 0, 6, 0, 0, 0, 2, 0, 0],
        &[0x80, 3, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0],
        // More settings than bytes.
        &[0x80, 3, 0, 4, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
        // Headers that are not compressed.
        &[0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0],
    ];
    for bytes in refused {
        assert_eq!(read([bytes].into_iter()), (Vec::new(), true), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..50_usize) {
        read(bytes.chunks(piece));
    }

    #[test]
    fn no_change_to_good_bytes_makes_it_panic(at in 0..400_usize, to in any::<u8>(), piece in 1..50_usize) {
        let mut bytes = written(&examples());
        let at = at % bytes.len();
        bytes[at] = to;
        read(bytes.chunks(piece));
    }
}
