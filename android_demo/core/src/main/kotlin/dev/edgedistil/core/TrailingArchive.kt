package dev.edgedistil.core

import java.io.RandomAccessFile
import java.security.MessageDigest
import java.util.zip.CRC32
import java.util.zip.DataFormatException
import java.util.zip.Inflater

/** A part of a file: [size] bytes from [offset] on. */
data class Span(val offset: Long, val size: Long)

/**
 * The ZIP archive behind a TFLite flatbuffer.
 *
 * @property start bytes before the archive.
 * @property frontSha256 hex digest of those bytes.
 * @property members content by name.
 * @property spans where the members stand that are not compressed and not read.
 */
class TrailingArchive(
    val start: Long,
    val frontSha256: String,
    val members: Map<String, ByteArray>,
    val spans: Map<String, Span>,
)

private const val COMMENT_PREFIX = "edgedistil sha256:"
private const val COMMENT_SIZE = COMMENT_PREFIX.length + 64
private const val END_SIZE = 22 // the end-of-directory record without its comment
private const val ENTRY_SIZE = 46
private const val HEADER_SIZE = 30
private const val LARGEST_MEMBER = 64 * 1024 * 1024 // bytes; more is a ZIP bomb
private const val LARGEST_DIRECTORY = 4096 // bytes; five members of short names take 300
private const val ZIP64_LOCATOR_SIZE = 20
private const val END_SIGNATURE = 0x06054b50L
private const val ENTRY_SIGNATURE = 0x02014b50L
private const val HEADER_SIGNATURE = 0x04034b50L
private const val ZIP64_SIGNATURE = 0x07064b50L
private const val STORED = 0
private const val DEFLATED = 8
private const val ENCRYPTED = 1
private const val BLOCK = 1 shl 16

private class Entry(
    val name: String,
    val flags: Int,
    val method: Int,
    val crc: Long,
    val compressedSize: Long,
    val size: Long,
    val offset: Long,
)

/**
 * Checks the digest of a file, then reads the archive at its end.
 *
 * `java.util.zip.ZipFile` is not used: it looks for an end record in places that a stranger may choose, and what it
 * does with bytes before an archive differs between Android's versions. Format: PKWARE's APPNOTE.TXT, sections 4.3.7
 * (local header), 4.3.12 (directory) and 4.3.16 (end of directory).
 *
 * @param names the members that it must have.
 * @param stored members that it may have, not compressed, whose content is found and not read; others are refused.
 * @throws ArtifactException the bytes are not those that were written, or the archive is not such an archive.
 */
fun readArchive(file: RandomAccessFile, names: Set<String>, stored: Set<String>): TrailingArchive {
    val reader = ArchiveReader(file)
    val comment = reader.comment()
    val entries = reader.directory(names.size, names.size + stored.size)
    val byName = entries.associateBy { it.name }
    if (byName.size != entries.size || !byName.keys.containsAll(names) || !(names + stored).containsAll(byName.keys)) {
        throw malformed("its members must be $names, and may be $stored")
    }
    val start = entries.minOf { it.offset }
    val (frontSha256, wholeSha256) = reader.digests(start)
    if (wholeSha256 != comment) {
        throw ArtifactException("The file is damaged: its SHA-256 is not the one at its end. Copy it again.")
    }
    return TrailingArchive(
        start = start,
        frontSha256 = frontSha256,
        members = names.associateWith { reader.content(byName.getValue(it)) },
        spans = byName.filterKeys { it in stored }.mapValues { reader.span(it.value) },
    )
}

private fun malformed(reason: String) =
    ArtifactException("The archive at the end of the file is malformed: $reason. Convert again.")

private class ArchiveReader(private val file: RandomAccessFile) {
    private val length = file.length()
    private val end = length - COMMENT_SIZE - END_SIZE

    /** The digest that the comment states. */
    fun comment(): String {
        val comment = if (end < 0) "" else bytes(length - COMMENT_SIZE, COMMENT_SIZE).decodeToString()
        if (!comment.startsWith(COMMENT_PREFIX)) {
            throw ArtifactException(
                "EdgeDistil did not write this TFLite model, or its end is missing: it has no archive. " +
                    "Choose a .tflite file that `edgedistil convert` wrote.",
            )
        }
        return comment.removePrefix(COMMENT_PREFIX)
    }

    fun directory(least: Int, most: Int): List<Entry> {
        val record = bytes(end, END_SIZE)
        if (record.u32(0) != END_SIGNATURE) throw malformed("it has no end record before its comment")
        if (end >= ZIP64_LOCATOR_SIZE && bytes(end - ZIP64_LOCATOR_SIZE, 4).u32(0) == ZIP64_SIGNATURE) {
            throw malformed("it is a ZIP64 archive")
        }
        val count = record.u16(10)
        val (size, offset) = record.u32(12) to record.u32(16)
        val isOneDisk = record.u16(8) == count && record.u16(20) == COMMENT_SIZE
        if (!isOneDisk || count !in least..most || size > LARGEST_DIRECTORY || offset + size != end) {
            throw malformed("its end record does not describe $least to $most members and this comment")
        }
        return entries(bytes(offset, size.toInt()), count)
    }

    private fun entries(directory: ByteArray, count: Int): List<Entry> {
        var at = 0
        val entries =
            List(count) {
                if (at + ENTRY_SIZE > directory.size || directory.u32(at) != ENTRY_SIGNATURE) {
                    throw malformed("its directory is cut off")
                }
                val nameSize = directory.u16(at + 28)
                val next = at + ENTRY_SIZE + nameSize + directory.u16(at + 30) + directory.u16(at + 32)
                if (next > directory.size) throw malformed("its directory is cut off")
                entry(directory, at, nameSize).also { at = next }
            }
        if (at != directory.size) throw malformed("its directory has more than $count members")
        return entries
    }

    private fun entry(directory: ByteArray, at: Int, nameSize: Int) =
        Entry(
            name = directory.decodeToString(at + ENTRY_SIZE, at + ENTRY_SIZE + nameSize),
            flags = directory.u16(at + 8),
            method = directory.u16(at + 10),
            crc = directory.u32(at + 16),
            compressedSize = directory.u32(at + 20),
            size = directory.u32(at + 24),
            offset = directory.u32(at + 42),
        )

    /** Of what stands before [start], and of everything before the comment, in one pass. */
    fun digests(start: Long): Pair<String, String> {
        val digest = MessageDigest.getInstance("SHA-256")
        update(digest, 0, start)
        val front = (digest.clone() as MessageDigest).digest()
        update(digest, start, length - COMMENT_SIZE)
        return front.hex() to digest.digest().hex()
    }

    private fun update(digest: MessageDigest, from: Long, until: Long) {
        if (from > until) throw malformed("a member begins behind the directory")
        val block = ByteArray(BLOCK)
        file.seek(from)
        var left = until - from
        while (left > 0) {
            val size = minOf(left, BLOCK.toLong()).toInt()
            file.readFully(block, 0, size)
            digest.update(block, 0, size)
            left -= size
        }
    }

    /** Where a member's bytes are, as its own header says. */
    private fun place(entry: Entry): Span {
        val header = bytes(entry.offset, HEADER_SIZE)
        if (header.u32(0) != HEADER_SIGNATURE || entry.flags and ENCRYPTED != 0) {
            throw malformed("${entry.name} has no header of its own, or is encrypted")
        }
        val offset = entry.offset + HEADER_SIZE + header.u16(26) + header.u16(28)
        if (offset + entry.compressedSize > end) throw malformed("${entry.name} ends behind the archive")
        return Span(offset, entry.compressedSize)
    }

    fun span(entry: Entry): Span {
        if (entry.method != STORED || entry.size != entry.compressedSize) throw malformed("${entry.name} is compressed")
        return place(entry)
    }

    fun content(entry: Entry): ByteArray {
        if (maxOf(entry.size, entry.compressedSize) > LARGEST_MEMBER) {
            throw malformed("${entry.name} has ${entry.size} bytes; the limit is $LARGEST_MEMBER")
        }
        val (offset, size) = place(entry)
        val raw = bytes(offset, size.toInt())
        val content =
            when (entry.method) {
                STORED -> raw
                DEFLATED -> inflate(raw, entry)
                else -> throw malformed("${entry.name} is not compressed by deflate")
            }
        val crc = CRC32().apply { update(content) }.value
        if (content.size.toLong() != entry.size || crc != entry.crc) throw malformed("${entry.name} is damaged")
        return content
    }

    /** At most the size that the directory states, whatever the stream holds. */
    private fun inflate(raw: ByteArray, entry: Entry): ByteArray {
        val inflater = Inflater(true)
        try {
            inflater.setInput(raw)
            val content = ByteArray(entry.size.toInt())
            var filled = 0
            while (filled < content.size) {
                val count = inflater.inflate(content, filled, content.size - filled)
                if (count == 0) throw malformed("${entry.name} is cut off")
                filled += count
            }
            return content
        } catch (error: DataFormatException) {
            throw ArtifactException("The archive at the end of the file is malformed: ${error.message}.", error)
        } finally {
            inflater.end()
        }
    }

    private fun bytes(offset: Long, size: Int): ByteArray {
        if (offset < 0 || offset + size > length) throw malformed("it points behind the file")
        return ByteArray(size).also {
            file.seek(offset)
            file.readFully(it)
        }
    }
}

private fun ByteArray.u16(at: Int) = (this[at].toInt() and 0xFF) or (this[at + 1].toInt() and 0xFF shl 8)

private fun ByteArray.u32(at: Int) = u16(at).toLong() or (u16(at + 2).toLong() shl 16)

internal fun ByteArray.hex() = joinToString("") { (it.toInt() and 0xFF).toString(16).padStart(2, '0') }
