"""What a person or a program can do about an error.

An error carries its remedy as a value, and each audience has it in its own words: programmers in calls of `Client`,
here, and people at the command line in commands, in `walletsync.cli.errors`.
"""

# Names with "password" in them are not passwords.
# ruff: noqa: S105

from enum import Enum, unique


@unique
class Remedy(Enum):
    """A way out of an error; the value tells a programmer what to call."""

    # The account
    SET_ACCOUNT = "Call set_account() first."
    LOG_IN = "Call get_auth_token() to log in."
    CHECK_PASSWORD = (
        "Call set_account() with the right one; if it was changed on another device, with the new one and "
        "accept_new_password=True."
    )
    CHECK_CREDENTIALS = (
        "Check both. If the server has moved, pass its earlier URL as `realm=`. If there is no account yet, register() "
        "makes it."
    )
    CHECK_PASSWORD_AND_REALM = "Check the password and the server's URL (`realm=`)."
    CONFIRM_ADDRESS = "Open the link in the mail that the server sent, then call get_auth_token()."
    ACCEPT_NEW_PASSWORD = (
        "If the password was changed on another device: set_account() with the new one and accept_new_password=True, "
        "then sync(). If the account was deleted: register(anew=True). If it was neither, ask whoever runs the "
        "server."
    )
    LIST_DEVICES = "devices() lists those that are logged in."

    # A change of the password that was interrupted
    ASK_ABOUT_PASSWORD_CHANGE = "Call get_auth_token() to ask the server."
    USE_NEW_PASSWORD = "Call set_account() with the new password."
    USE_FIRST_NEW_PASSWORD = "Call set_account() with the new password that was given first."
    REPEAT_PASSWORD_CHANGE = "Call set_account() with the old one, then change_password() again."
    FINISH_OR_CANCEL_PASSWORD_CHANGE = (
        "Give that one; or cancel the change with post_wallet(), which uses up its sequence, and begin a new one."
    )
    SYNC_AND_CHANGE_PASSWORD = "Call sync(), then change it again."

    # The wallet
    JOIN_OR_USE_ANOTHER_ACCOUNT = (
        "If it is another wallet, keep it in an account of its own, or beside the other one with WalletsFormat. To "
        "make one of both, put what it has into the document with update_document()."
    )
    SYNC = "Call sync() first."
    POLL = "Call sync() from time to time instead."
    GET_OR_MAKE_WALLET = (
        "sync() gets it; set_document(), or new_wallet_state() for an empty one, makes the first version."
    )
    MAKE_FIRST_VERSION = "set_document(), then sync(), makes the first version."
    BRING_WALLET_BACK = "restore() a version that had it, or set_document() with it."
    CHANGE_DOCUMENT = "Change it with set_document()."
    LIST_VERSIONS = "history() lists those that it keeps."
    LIST_CONFLICTS = "Look at `conflicts` again."
    EDIT_AND_KEEP_THEIRS = 'For any other value, call set_document() and then keep "theirs".'
    USE_ITS_FORMAT = "Open it with a client of that format."

    # A server that was restored from a backup, or that lies
    ACCEPT_RESTORED_SERVER = (
        "If it was restored from a backup, or the account was made anew, accept_restored_server() goes on from there "
        "with everything that this device has."
    )
    COMPARE_OR_ACCEPT_RESTORED_SERVER = (
        "fingerprint() on both devices shows whether they differ. If the server was restored from a backup, or the "
        "account was made anew, accept_restored_server() goes on from there with everything that this device has."
    )
    ACCEPT_EARLIER_PASSWORD = (
        "If so, call set_account() with the password of that time, then accept_restored_server() with another one as "
        "new_password=; nothing on this device is lost."
    )
    SET_NEW_PASSWORD = (
        "accept_restored_server() with new_password= goes on from what the server has, under a new password, in one "
        "step."
    )

    CONFIRM_DELETIONS = "Ask a person, then decide it once more with that consent."

    OPEN_IN_PROGRAM = "Start the wallet's program, and open the wallet in it."
    CHOOSE_BRIDGE_ANEW = "Choose the bridge anew, as the first time; nothing is deleted by that."

    RENAME_DEVICE = (
        "rename_device() gives this one a name of its own, and keeps its edits. If there is no other device and no "
        "copy of this one, the server may show different histories to your devices: ask whoever runs it."
    )

    # Where a client is made
    USE_EARLIER_URL = "If the server has moved, pass its earlier URL as `realm=`."
    ALLOW_PLAIN_HTTP = "Use https, or pass allow_plain_http=True for a network that you trust."
    GIVE_CA_FILE = (
        "If this is the server's own certificate, pass its authority's as `ca_file=`. If not, somebody may be "
        "listening: ask whoever runs the server."
    )
    CLOSE_OTHER_CLIENT = "Close that one first: two would overwrite each other's edits."
    TAKE_BACK = "Call take_back_store() first."
    MAKE_NEW_CLIENT = "Make a new client."
