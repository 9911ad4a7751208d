package dev.edgedistil.core

/** Values in the model's `text` input: the default shape, as LiteRT's Kotlin API cannot resize an input. */
const val ROW_SIZE = 256

/** Bytes of text that are read: a piece has at least one, and two more token ids must fit into a row of ids. */
const val MAX_TEXT_BYTES = ROW_SIZE - 2

/**
 * A text as the model takes it.
 *
 * @property values the UTF-8 bytes, from 0 to 255, with zeros behind them: [ROW_SIZE] in all.
 * @property isCut whether the end of the text is missing.
 */
class TextRow(val values: IntArray, val isCut: Boolean)

/**
 * The bytes of a text in a row; this is all the preprocessing there is.
 *
 * A text that is too long is cut before a character, never inside one. A lone surrogate, which is no text, becomes `?`.
 */
fun textRow(text: String): TextRow {
    val bytes = text.encodeToByteArray()
    var size = minOf(bytes.size, MAX_TEXT_BYTES)
    while (size < bytes.size && bytes[size].toInt() and 0xC0 == 0x80) size-- // 10xxxxxx goes on with a character
    return TextRow(IntArray(ROW_SIZE) { if (it < size) bytes[it].toInt() and 0xFF else 0 }, size < bytes.size)
}
