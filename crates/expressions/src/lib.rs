//! CEL between ${{ and }}: parsed once, bounded, secrets passed on unseen
