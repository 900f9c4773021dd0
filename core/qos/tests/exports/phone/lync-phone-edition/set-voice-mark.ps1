# Carillon, plan estate
Set-CsUCPhoneConfiguration -VoiceDiffServTag 46
