/** Of Compose's runtime, what the app uses; and what Kotlin's Compose compiler looks up and calls. */
package androidx.compose.runtime

import kotlin.reflect.KProperty

@Target(
    AnnotationTarget.FUNCTION,
    AnnotationTarget.TYPE,
    AnnotationTarget.TYPE_PARAMETER,
    AnnotationTarget.PROPERTY_GETTER,
)
annotation class Composable

interface State<out T> {
    val value: T
}

interface MutableState<T> : State<T> {
    override var value: T
}

abstract class CompositionLocal<T> {
    val current: T
        @Composable get() = TODO()
}

fun <T> mutableStateOf(value: T): MutableState<T> = TODO()

operator fun <T> State<T>.getValue(thisObj: Any?, property: KProperty<*>): T = value

operator fun <T> MutableState<T>.setValue(thisObj: Any?, property: KProperty<*>, value: T) {
    this.value = value
}

// From here on, for the compiler.

object ComposeVersion {
    const val version: Int = 99999 // newer than any that it refuses
}

annotation class ComposableTarget(val applier: String)

annotation class ComposableInferredTarget(val scheme: String)

annotation class ComposableOpenTarget(val index: Int)

annotation class FunctionKeyMeta(val key: Int, val startOffset: Int, val endOffset: Int)

@Target(AnnotationTarget.TYPE)
annotation class DisallowComposableCalls

interface ScopeUpdateScope {
    fun updateScope(block: (Composer, Int) -> Unit)
}

interface Composer {
    val skipping: Boolean
    val defaultsInvalid: Boolean
    val currentMarker: Int

    fun startReplaceGroup(key: Int)

    fun endReplaceGroup()

    fun startReplaceableGroup(key: Int)

    fun endReplaceableGroup()

    fun startMovableGroup(key: Int, dataKey: Any?)

    fun endMovableGroup()

    fun startRestartGroup(key: Int): Composer

    fun endRestartGroup(): ScopeUpdateScope?

    fun startDefaults()

    fun endDefaults()

    fun skipToGroupEnd()

    fun skipCurrentGroup()

    fun shouldExecute(parametersChanged: Boolean, flags: Int): Boolean

    fun endToMarker(marker: Int)

    fun joinKey(left: Any?, right: Any?): Any

    fun rememberedValue(): Any?

    fun updateRememberedValue(value: Any?)

    fun changed(value: Any?): Boolean

    fun changed(value: Boolean): Boolean

    fun changed(value: Char): Boolean

    fun changed(value: Byte): Boolean

    fun changed(value: Short): Boolean

    fun changed(value: Int): Boolean

    fun changed(value: Float): Boolean

    fun changed(value: Long): Boolean

    fun changed(value: Double): Boolean

    fun changedInstance(value: Any?): Boolean

    companion object {
        val Empty: Any get() = TODO()
    }
}

val currentComposer: Composer
    @Composable get() = TODO()

fun isTraceInProgress(): Boolean = TODO()

fun traceEventStart(key: Int, dirty1: Int, dirty2: Int, info: String): Unit = TODO()

fun traceEventEnd(): Unit = TODO()

fun sourceInformation(composer: Composer, sourceInformation: String): Unit = TODO()

fun sourceInformationMarkerStart(composer: Composer, key: Int, sourceInformation: String): Unit = TODO()

fun sourceInformationMarkerEnd(composer: Composer): Unit = TODO()

fun updateChangedFlags(flags: Int): Int = TODO()

@Composable
inline fun <T> key(vararg keys: Any?, block: @Composable () -> T): T = TODO()

inline fun <T> Composer.cache(invalid: Boolean, block: @DisallowComposableCalls () -> T): T = TODO()

@Composable
inline fun <T> remember(crossinline calculation: @DisallowComposableCalls () -> T): T = TODO()

@Composable
inline fun <T> remember(key1: Any?, crossinline calculation: @DisallowComposableCalls () -> T): T = TODO()

@Composable
inline fun <T> remember(key1: Any?, key2: Any?, crossinline calculation: @DisallowComposableCalls () -> T): T = TODO()

@Composable
inline fun <T> remember(
    key1: Any?,
    key2: Any?,
    key3: Any?,
    crossinline calculation: @DisallowComposableCalls () -> T,
): T = TODO()

@Composable
inline fun <T> remember(vararg keys: Any?, crossinline calculation: @DisallowComposableCalls () -> T): T = TODO()
