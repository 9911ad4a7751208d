package dev.edgedistil.core

/**
 * Reads a JSON document strictly: UTF-8, distinct keys, finite numbers, strings without lone surrogates.
 *
 * Written here because Android's `org.json` is not on the JVM, and takes what no other reader takes.
 *
 * @param where what an error calls the document.
 * @return `Map<String, Any?>`, `List<Any?>`, `String`, `Long`, `Double`, `Boolean` or null.
 * @throws ArtifactException it is not such a document.
 */
fun parseJson(document: ByteArray, where: String): Any? =
    try {
        JsonReader(document.decodeToString(throwOnInvalidSequence = true)).document()
    } catch (error: CharacterCodingException) {
        throw ArtifactException("$where is not UTF-8. The file is damaged; fetch it again.", error)
    } catch (error: IllegalArgumentException) {
        val reason = error.message
        throw ArtifactException("$where is not sound JSON: $reason. The file is damaged; fetch it again.", error)
    }

private const val DEEPEST = 64 // levels; edgedistil.json has five
private val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
private val ESCAPES =
    mapOf('"' to '"', '\\' to '\\', '/' to '/', 'b' to '\b', 'f' to '\u000c', 'n' to '\n', 'r' to '\r', 't' to '\t')

/** RFC 8259, by recursive descent. */
private class JsonReader(private val text: String) {
    private var at = 0

    fun document(): Any? {
        val value = value(0)
        skipSpace()
        require(at == text.length) { "it goes on behind its end, at character $at" }
        return value
    }

    private fun value(depth: Int): Any? {
        require(depth < DEEPEST) { "it is nested more than $DEEPEST levels deep" }
        skipSpace()
        return when (peek()) {
            '{' -> members(depth)
            '[' -> items(depth)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun members(depth: Int): Map<String, Any?> {
        val found = LinkedHashMap<String, Any?>()
        sequence('{', '}') {
            val key = string()
            skipSpace()
            expect(':')
            require(key !in found) { "an object holds the key $key twice" }
            found[key] = value(depth + 1)
        }
        return found
    }

    private fun items(depth: Int): List<Any?> = buildList { sequence('[', ']') { add(value(depth + 1)) } }

    /** What stands between two brackets, with commas in between. */
    private fun sequence(opening: Char, closing: Char, item: () -> Unit) {
        expect(opening)
        skipSpace()
        if (peek() != closing) {
            while (true) {
                skipSpace()
                item()
                skipSpace()
                if (peek() != ',') break
                at++
            }
        }
        expect(closing)
    }

    private fun string(): String {
        expect('"')
        val found = StringBuilder()
        while (peek() != '"') {
            val character = text[at++]
            require(character >= ' ') { "a string holds a control character, at character $at" }
            found.append(if (character == '\\') escaped() else character)
        }
        at++
        found.indices.forEach { require(isPaired(found, it)) { "a string holds a lone surrogate" } }
        return found.toString()
    }

    private fun escaped(): Char {
        val character = peek()
        at++
        if (character != 'u') return requireNotNull(ESCAPES[character]) { "a string holds the escape \\$character" }
        val digits = text.substring(at, minOf(at + 4, text.length))
        require(digits.length == 4 && digits.all { it in "0123456789abcdefABCDEF" }) { "\\u$digits is no character" }
        at += 4
        return digits.toInt(16).toChar()
    }

    private fun isPaired(found: CharSequence, index: Int) =
        when {
            found[index].isHighSurrogate() -> index + 1 < found.length && found[index + 1].isLowSurrogate()
            found[index].isLowSurrogate() -> index > 0 && found[index - 1].isHighSurrogate()
            else -> true
        }

    private fun number(): Number {
        var end = at
        // Letters too, so that NaN is looked at as a whole, and refused.
        while (end < text.length && (text[end].isLetterOrDigit() || text[end] in "+-.")) end++
        val literal = text.substring(at, end)
        require(NUMBER.matches(literal)) { "a value is due at character $at" }
        at = end
        literal.toLongOrNull()?.let { return it }
        return literal.toDouble().also { require(it.isFinite()) { "$literal is not a finite number" } }
    }

    private fun <T> word(word: String, value: T): T {
        require(text.startsWith(word, at)) { "a value is due at character $at" }
        at += word.length
        return value
    }

    private fun peek(): Char {
        require(at < text.length) { "it ends too early" }
        return text[at]
    }

    private fun expect(character: Char) {
        require(peek() == character) { "'$character' is due at character $at" }
        at++
    }

    private fun skipSpace() {
        while (at < text.length && text[at] in " \t\n\r") at++
    }
}

/** One JSON object that has exactly [keys]; each method returns one value, checked, or throws [ArtifactException]. */
internal class JsonFields(value: Any?, private val where: String, keys: Set<String>) {
    private val fields: Map<*, *> =
        value as? Map<*, *> ?: throw ArtifactException("$where must be a JSON object. Convert again.")

    init {
        val missing = keys - fields.keys.map { it.toString() }.toSet()
        val unknown = fields.keys.map { it.toString() }.toSet() - keys
        if (missing.isNotEmpty() || unknown.isNotEmpty()) {
            throw ArtifactException(
                "$where has not the keys of this schema. Missing: $missing; unknown: $unknown. " +
                    "Convert again with the edgedistil that this app was written for.",
            )
        }
    }

    fun any(key: String): Any? = fields[key]

    fun string(key: String): String = fields[key] as? String ?: throw invalid(key, "a string")

    fun optionalString(key: String): String? = if (fields[key] == null) null else string(key)

    fun oneOf(key: String, legal: Set<String>): String =
        string(key).also { if (it !in legal) throw invalid(key, "one of $legal") }

    fun boolean(key: String): Boolean = fields[key] as? Boolean ?: throw invalid(key, "true or false")

    fun integer(key: String, least: Int = 0, most: Int = Int.MAX_VALUE): Int {
        val value = fields[key] as? Long
        if (value == null || value < least || value > most) throw invalid(key, "an integer from $least to $most")
        return value.toInt()
    }

    fun fraction(key: String): Double {
        val value = (fields[key] as? Number)?.toDouble()
        if (value == null || value <= 0 || value >= 1) throw invalid(key, "a number between 0 and 1")
        return value
    }

    fun mapping(key: String): Map<*, *> = fields[key] as? Map<*, *> ?: throw invalid(key, "an object")

    fun array(key: String): List<*> =
        (fields[key] as? List<*>)?.takeIf { it.isNotEmpty() } ?: throw invalid(key, "a non-empty array")

    fun integers(key: String, below: Int): IntArray =
        array(key)
            .map { item -> item as? Long ?: -1 }
            .onEach { if (it !in 0 until below) throw invalid(key, "integers from 0, below $below") }
            .let { items -> IntArray(items.size) { items[it].toInt() } }

    fun probabilities(key: String, count: Int): DoubleArray {
        val items = array(key).map { (it as? Number)?.toDouble() }
        if (items.size != count || !items.all { it != null && it in 0.0..1.0 }) {
            throw invalid(key, "$count numbers from 0 to 1, one a label")
        }
        return items.filterNotNull().toDoubleArray()
    }

    fun distinctStrings(key: String): List<String> {
        val items = array(key).map { item -> (item as? String)?.takeIf { it.isNotEmpty() } }
        if (null in items || items.toSet().size != items.size) throw invalid(key, "distinct non-empty strings")
        return items.filterNotNull()
    }

    fun invalid(key: String, legal: String) =
        ArtifactException("$where: $key must be $legal. Received: ${fields[key].toString().take(100)}.")
}
