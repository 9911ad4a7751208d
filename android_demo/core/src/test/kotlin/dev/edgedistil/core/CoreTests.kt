package dev.edgedistil.core

import java.io.File
import kotlin.system.exitProcess

/** Runs every test; the exit code says whether one failed. No framework, so that nothing has to be downloaded. */
fun main() {
    val tests = jsonTests + textTests + rankingTests + classificationTests + goldenTests + twoPartTests + fallbackTests
    val failed =
        tests.filter { (name, test) ->
            val error = runCatching(test).exceptionOrNull()
            if (error != null) println("FAILED $name: $error")
            error != null
        }
    println("${tests.size - failed.size} of ${tests.size} tests passed")
    if (failed.isNotEmpty()) exitProcess(1)
}

private fun expectEqual(expected: Any?, received: Any?) =
    check(expected == received) { "expected $expected, received $received" }

private inline fun <reified T : Throwable> expectThrown(part: String, block: () -> Unit) {
    val error = runCatching(block).exceptionOrNull()
    check(error is T && part in error.message.orEmpty()) { "expected ${T::class} with \"$part\", received $error" }
}

private fun json(document: String) = parseJson(document.encodeToByteArray(), "test")

private val jsonTests =
    mapOf<String, () -> Unit>(
        "values" to {
            val expected = mapOf("a" to listOf(1L, -2.5, 1e-7, true, false, null), "b" to mapOf("" to "ü💡"))
            val document = " {\"a\": [1, -2.5, 1e-07, true, false, null],\n\"b\":{\"\":\"ü\\ud83d\\udca1\"}}\t"
            expectEqual(expected, json(document))
        },
        "escapes" to { expectEqual("\"\\/\b\u000c\n\r\tA", json("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"")) },
        "empty containers" to { expectEqual(listOf(emptyMap<String, Any?>(), emptyList<Any?>()), json("[{}, [ ]]")) },
        "large integers are numbers" to { expectEqual(1e20, json("100000000000000000000")) },
        "unsound documents" to {
            val unsound =
                listOf(
                    "", "{", "[1,]", "[1 2]", "{\"a\":1,\"a\":2}", "{a:1}", "{\"a\" 1}", "NaN", "Infinity", "1e999",
                    "01", "1.", ".5", "+1", "-", "tru", "'a'", "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00a\"",
                    "\"a\nb\"", "\"a", "1 2", "nul", "[".repeat(1000), "\"\\u1\"", "\"\\", "\u00a01",
                )
            unsound.forEach { expectThrown<ArtifactException>("test is not sound JSON") { json(it) } }
        },
        "no UTF-8" to {
            expectThrown<ArtifactException>("not UTF-8") { parseJson(byteArrayOf(34, -1, 34), "test") }
        },
    )

private fun bytes(row: TextRow) = row.values.takeWhile { it != 0 }

private val textTests =
    mapOf<String, () -> Unit>(
        "two bytes" to { expectEqual(listOf(104, 195, 169), bytes(textRow("hé"))) },
        "a surrogate pair is one character of four bytes" to {
            expectEqual(listOf(0xF0, 0x9F, 0x92, 0xA1), bytes(textRow("\uD83D\uDCA1")))
        },
        "a lone surrogate is a question mark" to { expectEqual(listOf(97, 63, 98), bytes(textRow("a\uD83Db"))) },
        "empty" to { expectEqual(List(ROW_SIZE) { 0 }, textRow("").values.toList()) },
        "the longest text" to {
            val row = textRow("x".repeat(MAX_TEXT_BYTES))
            expectEqual(false to MAX_TEXT_BYTES, row.isCut to bytes(row).size)
        },
        "longer texts are cut before a character" to {
            val size = listOf("é" to 1, "東" to 2, "💡" to 3)
            size.forEach { (character, rest) ->
                (0..rest).forEach { shift ->
                    val row = textRow("x".repeat(MAX_TEXT_BYTES - shift) + character)
                    val isCut = shift < character.encodeToByteArray().size
                    expectEqual(isCut, row.isCut)
                    expectEqual(MAX_TEXT_BYTES - shift, bytes(row).size)
                    expectEqual(ROW_SIZE, row.values.size)
                }
            }
        },
    )

private val rankingTests =
    mapOf<String, () -> Unit>(
        "best first, equals in order" to {
            val ranked = rank(listOf("a", "b", "c", "d"), floatArrayOf(0.1f, 0.4f, 0.1f, 0.4f))
            expectEqual(listOf("b", "d", "a", "c"), ranked.map { it.label })
        },
        "as many scores as labels" to {
            expectThrown<IllegalArgumentException>("2 labels and 1") { rank(listOf("a", "b"), floatArrayOf(1f)) }
        },
    )

private fun case(text: String, probabilities: List<Double>, textPair: String? = null) =
    GoldenCase(text, textPair, intArrayOf(2, text.length, 3), probabilities.toDoubleArray())

private fun metadata(
    vararg cases: GoldenCase,
    tolerance: Double = 0.01,
    kind: String = "builtin",
    unknownRule: UnknownRule? = null,
) = Metadata(
    name = "test",
    labels = listOf("a", "b"),
    tokenizer = TokenizerSettings(kind, sequenceLength = 8, padId = 0, vocabularySize = 9, vocabularySha256 = ""),
    scheme = "fp32",
    target = "gpu",
    goldenCases = cases.toList(),
    tolerance = tolerance,
    hiddenDim = 4,
    encoderLengths = intArrayOf(4, 8),
    isEncoderCompiled = false,
    flatbufferSize = 8,
    flatbufferSha256 = "",
    unknownRule = unknownRule,
)

private class FakeModel(
    private val answer: FloatArray,
    override val unknownScore: Float? = null,
    private val ids: (TextRow) -> IntArray = { intArrayOf(2, bytes(it).size, 3) },
) : TextModel {
    var isClosed = false

    override fun tokenIds(text: TextRow, textPair: TextRow?) = ids(text)

    override fun probabilities(text: TextRow, textPair: TextRow?) = answer

    override fun close() {
        isClosed = true
    }
}

private val right = floatArrayOf(0.7f, 0.3f)
private val wrong = floatArrayOf(0.3f, 0.7f)
private val data = metadata(case("hi", listOf(0.7, 0.3)))

private fun classified(text: String, rule: UnknownRule? = null, score: Float? = null): Classification {
    val described = metadata(unknownRule = rule)
    val model = FakeModel(wrong, unknownScore = score)
    return VerifiedModel(described, model, Processor.CPU, replayGoldenCases(described, model), null).classify(text)
}

private val classificationTests =
    mapOf<String, () -> Unit>(
        "one line from a text to its label" to {
            val found = classified("hi")
            expectEqual("b", found.label)
            expectEqual(listOf(Score("b", 0.7f), Score("a", 0.3f)), found.scores)
            expectEqual(false to null, found.isCut to found.unknown)
        },
        "a text that does not fit is cut" to {
            val sizes = listOf(MAX_TEXT_BYTES, MAX_TEXT_BYTES + 1)
            expectEqual(listOf(false, true), sizes.map { classified("x".repeat(it)).isCut })
        },
        "a score above the threshold has the name for unknown texts" to {
            val rule = UnknownRule("none of these", -1.5)
            expectEqual("none of these" to "b", classified("hi", rule, -1.4f).let { it.unknown to it.label })
            expectEqual(null, classified("hi", rule, -1.5f).unknown)
            expectEqual(null, classified("hi", null, 3f).unknown)
        },
    )

private val goldenTests =
    mapOf<String, () -> Unit>(
        "equal within the tolerance" to {
            val replay = replayGoldenCases(data, FakeModel(floatArrayOf(0.705f, 0.295f)))
            expectEqual(1 to 1, replay.replayed to replay.total)
            check(replay.largestDifference in 0.0049..0.0051)
        },
        "other token ids" to {
            val model = FakeModel(floatArrayOf(0.7f, 0.3f)) { intArrayOf(2, 3) }
            expectThrown<GoldenMismatch>("token ids") { replayGoldenCases(data, model) }
        },
        "other probabilities, NaN, or too few" to {
            val nan = Float.NaN
            val answers = listOf(listOf(0.72f, 0.28f), listOf(nan, 0.3f), listOf(0.7f, nan), listOf(0.7f), listOf())
            answers.forEach {
                expectThrown<GoldenMismatch>("probabilities") { replayGoldenCases(data, FakeModel(it.toFloatArray())) }
            }
        },
        "another label, unless it was a close call" to {
            val answer = FakeModel(floatArrayOf(0.49f, 0.51f))
            replayGoldenCases(metadata(case("hi", listOf(0.52, 0.48)), tolerance = 0.05), answer)
            expectThrown<GoldenMismatch>("probabilities") {
                replayGoldenCases(metadata(case("hi", listOf(0.52, 0.48)), tolerance = 0.035), answer)
            }
        },
        "cases that do not fit are left out and counted" to {
            val cases = arrayOf(case("x".repeat(300), listOf(0.7, 0.3)), case("hi", listOf(0.7, 0.3)))
            val replay = replayGoldenCases(metadata(*cases), FakeModel(floatArrayOf(0.7f, 0.3f)))
            expectEqual(1 to 2, replay.replayed to replay.total)
        },
        "pairs fit together or not at all" to {
            val cases = listOf(153, 154).map { case("x".repeat(100), listOf(0.7, 0.3), "y".repeat(it)) }
            val replay = replayGoldenCases(metadata(*cases.toTypedArray()), FakeModel(right))
            expectEqual(1, replay.replayed)
        },
    )

private class FakeHost(private val ids: IntArray) : Host {
    var embedded: List<Int> = emptyList()
    var isClosed = false

    override fun tokenIds(text: TextRow, textPair: TextRow?) = ids

    override fun embed(tokenIds: IntArray): EncoderInputs {
        embedded = tokenIds.toList()
        return EncoderInputs(FloatArray(tokenIds.size), FloatArray(tokenIds.size))
    }

    override fun close() {
        isClosed = true
    }
}

private class FakeEncoder : Encoder {
    var isClosed = false

    override fun probabilities(length: Int, inputs: EncoderInputs) = floatArrayOf(length.toFloat())

    override fun close() {
        isClosed = true
    }
}

private val twoPartTests =
    mapOf<String, () -> Unit>(
        "padded to the shortest length that holds the row" to {
            listOf(3 to 4, 4 to 4, 5 to 8, 8 to 8).forEach { (count, length) ->
                val host = FakeHost(IntArray(count) { 7 })
                val model = TwoPartModel(host, FakeEncoder(), intArrayOf(4, 8), padId = 1)
                expectEqual(listOf(length.toFloat()), model.probabilities(textRow("")).toList())
                expectEqual(List(length) { if (it < count) 7 else 1 }, host.embedded)
            }
        },
        "longer rows are refused" to {
            val model = TwoPartModel(FakeHost(IntArray(9)), FakeEncoder(), intArrayOf(4, 8), padId = 1)
            expectThrown<IllegalArgumentException>("9 token ids") { model.probabilities(textRow("")) }
        },
        "both parts are closed" to {
            val (host, encoder) = FakeHost(IntArray(1)) to FakeEncoder()
            TwoPartModel(host, encoder, intArrayOf(4), padId = 0).close()
            check(host.isClosed && encoder.isClosed)
        },
    )

private fun withMarker(test: (CrashMarker) -> Unit) {
    val file = File.createTempFile("marker", "").apply { delete() }
    try {
        test(CrashMarker(file))
    } finally {
        file.delete()
    }
}

private val fallbackTests =
    mapOf<String, () -> Unit>(
        "a GPU that is right" to {
            withMarker { marker ->
                val opened = openVerified(data, Processor.GPU, marker) { check(marker.isSet); FakeModel(right) }
                expectEqual(Processor.GPU to null, opened.processor to opened.fallbackReason)
                check(!marker.isSet)
            }
        },
        "a GPU that is wrong is closed, and the CPU takes over" to {
            withMarker { marker ->
                val gpu = FakeModel(wrong)
                val models = mapOf(Processor.GPU to gpu, Processor.CPU to FakeModel(right))
                val opened = openVerified(data, Processor.GPU, marker, models::getValue)
                expectEqual(Processor.CPU, opened.processor)
                check("probabilities" in opened.fallbackReason.orEmpty() && gpu.isClosed && !marker.isSet)
            }
        },
        "a GPU that is not there" to {
            withMarker { marker ->
                listOf(IllegalStateException("no GPU"), UnsatisfiedLinkError("no GPU")).forEach { error ->
                    val opened =
                        openVerified(data, Processor.GPU, marker) {
                            if (it == Processor.GPU) throw error else FakeModel(right)
                        }
                    expectEqual(Processor.CPU to "no GPU", opened.processor to opened.fallbackReason)
                }
            }
        },
        "a GPU that ended the process is not tried again by itself" to {
            withMarker { marker ->
                marker.set()
                val opened = openVerified(data, Processor.GPU, marker) { check(it == Processor.CPU); FakeModel(right) }
                check("ended the app" in opened.fallbackReason.orEmpty() && !marker.isSet)
                expectEqual(Processor.GPU, openVerified(data, Processor.GPU, marker) { FakeModel(right) }.processor)
            }
        },
        "a CPU that is wrong is an error" to {
            withMarker { marker ->
                listOf(Processor.CPU, Processor.GPU).forEach { wanted ->
                    val models = mutableListOf<FakeModel>()
                    expectThrown<GoldenMismatch>("probabilities") {
                        openVerified(data, wanted, marker) { FakeModel(wrong).also(models::add) }
                    }
                    check(models.all { it.isClosed })
                }
            }
        },
        "a model that takes no text" to {
            withMarker { marker ->
                val other = metadata(case("hi", listOf(0.7, 0.3)), kind = "none")
                expectThrown<ArtifactException>("--tokenizer builtin") {
                    openVerified(other, Processor.CPU, marker) { FakeModel(right) }
                }
            }
        },
    )
