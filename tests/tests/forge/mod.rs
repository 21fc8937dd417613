//! Changes an image so that it stays whole: its lengths and checksums are right.

use ckpt_image::checksum::crc32c;
use ckpt_image::note::Kind;
use ckpt_image::page_up;

/// Where the first program header, that of the notes, has the offset and the size of what it describes.
const NOTES_OFFSET_AT: usize = 64 + 8;
const NOTES_SIZE_AT: usize = 64 + 32;

/// The little-endian number of `size` bytes at `at`.
pub fn number(bytes: &[u8], at: usize, size: usize) -> usize {
    let mut raw = [0; 8];
    raw[..size].copy_from_slice(&bytes[at..at + size]);
    usize::from_le_bytes(raw)
}

/// The image with the content of one note changed by `edit`. It begins with version and flags, 4 bytes.
pub fn forge(image: &[u8], kind: Kind, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let notes = number(image, NOTES_OFFSET_AT, 8);
    let mut at = notes;
    let (mut content, behind) = loop {
        let (owner, size) = (number(image, at, 4), number(image, at + 4, 4));
        let content_at = at + 12 + owner.next_multiple_of(4);
        let behind = content_at + size.next_multiple_of(4);
        if number(image, at + 8, 4) == kind as usize {
            break (image[content_at..content_at + size].to_vec(), behind);
        }
        at = behind;
    };
    edit(&mut content);

    let mut forged = image[..at + 4].to_vec();
    forged.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
    // Type and owner: ours is 5 bytes with its NUL.
    forged.extend(&image[at + 8..at + 12 + 8]);
    content.resize(content.len().next_multiple_of(4), 0);
    forged.extend(content);
    forged.extend(&image[behind..]);

    let size = forged.len();
    forged[NOTES_SIZE_AT..NOTES_SIZE_AT + 8].copy_from_slice(&(size - notes).to_le_bytes());
    let headers = 64 + 56 * number(image, 56, 2);
    let head = crc32c(&forged[..usize::try_from(page_up(headers as u64)).unwrap()]);
    // The last note ends with the length of the file and two sums.
    forged[size - 16..size - 8].copy_from_slice(&size.to_le_bytes());
    forged[size - 8..size - 4].copy_from_slice(&head.to_le_bytes());
    let sum = crc32c(&forged[notes..size - 4]);
    forged[size - 4..].copy_from_slice(&sum.to_le_bytes());
    forged
}
