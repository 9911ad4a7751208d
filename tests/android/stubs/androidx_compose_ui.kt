package androidx.compose.ui

interface Modifier {
    companion object : Modifier
}

interface Alignment {
    interface Vertical

    interface Horizontal

    companion object {
        val Top: Vertical get() = TODO()
        val CenterVertically: Vertical get() = TODO()
        val Start: Horizontal get() = TODO()
    }
}
