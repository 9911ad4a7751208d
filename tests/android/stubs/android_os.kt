package android.os

class Bundle

class Build {
    object VERSION {
        @JvmField val SDK_INT: Int = 0
    }

    object VERSION_CODES {
        const val S = 31
    }
}
