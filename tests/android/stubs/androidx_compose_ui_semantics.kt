package androidx.compose.ui.semantics

import androidx.compose.ui.Modifier

interface SemanticsPropertyReceiver

@JvmInline
value class LiveRegionMode private constructor(private val value: Int) {
    companion object {
        val Polite = LiveRegionMode(0)
    }
}

@JvmInline
value class Role private constructor(private val value: Int) {
    companion object {
        val Switch = Role(2)
    }
}

var SemanticsPropertyReceiver.contentDescription: String
    get() = TODO()
    set(value) = TODO()

var SemanticsPropertyReceiver.liveRegion: LiveRegionMode
    get() = TODO()
    set(value) = TODO()

fun SemanticsPropertyReceiver.heading(): Unit = TODO()

fun Modifier.semantics(
    mergeDescendants: Boolean = false,
    properties: (SemanticsPropertyReceiver.() -> Unit),
): Modifier = TODO()

fun Modifier.clearAndSetSemantics(properties: (SemanticsPropertyReceiver.() -> Unit)): Modifier = TODO()
