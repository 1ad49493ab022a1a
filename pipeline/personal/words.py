"""Ordinary words that first names and cities are spelt like (made once, then read through).

Written in lower case, such a word is never a name; with a capital it needs a sign that it is one.
"""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text, which is shorter and easier to read than a list of strings."""
    return frozenset(text.split())


WORDS = word_set(
    """
    ab aba abb abbas abbey ace acerra acre acton add adda ade admiral af aga agar agen agla ah ahu
    airport aku ala alabaster alamo aland alba alban albino aldine ale alexa alf alfa alin allene
    alliance ally almon almond aloma along alpha althea altin alto alvar aly ama amani amar amazon
    ambar amber ambon ambrose american ami amin amine amla amma amoke among amor amra amrita an
    anan anda android anes angel angelic angelica angeline annex anon anta antal ante antelope
    anthem antipolo antra ants antu apalit apex april ara arad arar arba arbutus arch archer
    archway ardella arent aria ariel arietta armilla arna arni arrah arras arrie arris art aru
    arvel asbest asia asker aspen asse assis asta astride atlas atma august aune aura aurelia
    aurelian aurora aurore author autumn averil awa ayu azalea baar baba babe babu baby bade
    badger bae bago bagre bailee bailey bailie bakal bake baker baku balboa balbriggan bale bali
    balu bam bamban banat banda banga bange banks banning bantay bantayan bar bara barb barbate
    barcelona bari baris barking baron barra barranca barras barton bas basil bath batman baud
    bauta baxter bay bayamo bayard bayman bear beat beata beau bee beira bell belle bellflower
    bellwood belton bena bend bender beni benn bent berat beray berg berlin berry besin best
    bestie beta bethel bff bibi bidar biga bill bird birdie bishop bitten blackwood blain blair
    blake blanca blanch blas blaze blessing bliss blossom bo boardman bob bode boden bodhi boga
    bogey bogo bolden bole boma bombo bonito bonny boo booker boom bor borg borne bose boss
    boulder bountiful bow bowie bowman bra brain branch brandy brant bray brett brick bridger brit
    bro brook brough brown bruh brunswick brusque buck buckeye bud buda buddy buffalo buffy buna
    bunk burao burgess buri buriti burke burl burnie burns burr burrel bursa burt burton bury bush
    buster butch butler butte butterfly buy bye cabot caddie cade cadence cager cain cal cali calp
    cam campana campo can canal candela candy canning cannon cant canton cantonment canyon cap
    cappie caprice captain caracal cardona carlet carmine carney carolin carry carter case cash
    cassino casula cause cayenne cedrin ceil celestina celestine centennial cento central
    centurion cetin chaka chalmer cham champ chance chancy chandler chaparral charity chase
    chastity chauk chaya che cherish cherry chesterfield chi chico chillum chin china chino chip
    chitose christ christen christian chuck chunga cicely cinnamon clark clay cleave clem clemence
    clement cliff cloverleaf cobourg cocoa cognac colima collie collier collin collins colon
    colonel colt colter columbine comal comfort commodore commonwealth con concha conchal concord
    confederation conn conner constant converse cooper coral coram cord cork cornel corona
    corrente corrie cortez council coy crawley creed crin crista cruces cruzeiro crystal curt
    cutler cuz cypress dace dad dadap daddy dade dag daisy daler dali dalton daman damme danish
    danta dar darling dat date daud daughter davenport dawn dayal deacon deal dean debar dee
    defiance deforest dell delta dem demi derby deric derry dessa destiny dev deva dexter diamond
    dian dick didnt dilling dimple dinar dink dis divan dixie doc dock doctor dodo doesnt doina
    dola dole doll dolly dom dome don dona dont doss dot dotty dour dove dover dow drago drake
    drama draper dude duff duffel duke duma durant dure dusty dyer eagle ean earl early earnest
    easter ebb ebony echo edit edu eider eimer el elder ell els else elvan elver ember emerald
    emir emit emmer emmet emporia enterprise env era eral ermine erode esker espinal essence
    essling ester eta ether ethyl etna eulalia eureka eve ever evergreen evert ey fae fairy faith
    fana fancy faro fate fatwa fawn fay fed federal feline fella felling fern ferny fielding
    filippo finis firman fisher fleet fletcher flint floor flora florence florent florentine
    flores florin ford forest forum foster fount fountain foy franc francisc francisca franco
    frank frazer freeman french friend fuji fulham fuller gaby gage gaj gal gala gale galt ganga
    ganja ganta gantang gap gar gara gare garibaldi garland garner garnet garnett garston gasper
    gauge gaur gay gazel gee geira gemma gena gene general genesis genet geneva genie geo german
    geta ghazi giarre gien gilly ginger glen glover goa gode goes golden goldie gondola gonna
    goodyear gorge gosport gotta governor grace grad gran granger granny grant grapevine gray
    grayling green greet grein griffin grit gro grove guama guariba gugu guider gumma gun guna
    gundi gunnel gunner guss gust gutti guy gympie hafiz hagi hala halbert hale hall halver ham
    hami handy hansa hansel harden hardy harl harm harman harmony harper harrow harsh hart hasan
    hasta hastings havelock haven hawthorn hayward hazel hazelwood hazen hazle heath heaven hello
    hem hemal hence henna henny herb herma hermitage hernani herne hersir hes hey hi hickory
    hidalgo highland hilding hill hillside hilsa hind hmm ho holden holiday holly holm holt
    homestead homie honda honey hook hope horn horst hough hoy hub huia hull humble hung hunt
    hunter hurley hurricane hurst husband hymen hà ib iba ibn icy id ide idk im imam immaculate
    imo imperia imperial independence indri indy infant inken innocent ion ipil iridian iris irl
    isnt issa iva ive ivory iyo jack jacobus jacutinga jade jagger jail jam jan jara jasmine jati
    jay jelutong jerker jet jewel jina jingling jinja jipijapa job joke journey joy juba judge jun
    june junior jure justen justice justo juvenal kahu kaka kala kale kamala karma karri karwar
    kashima katha kauri kazi keld kele kelvin kenner kensington kep kerry keta keystone khair kick
    kiel kike kinda kindle king kip kit kitchener kitty koda koko kolea konak kos kosong kula
    kurgan kusa labis lacy laddie lady lafayette lagarto lakeside lalo lambert lamin lan lance
    lander lane laney lar largo lark larry lassie laur laurel lavender lawyer layne lazar laze le
    lea leafy lean leaner leatherhead lede lee leek leer lekha lemma lemon lenard lend lene lens
    less lets levin levy leyland li liang liberal liberty lice lido lien lier lies lieve lill lily
    lim liman limehouse lincoln linden line link linn lino linsey linwood lira lish lisle little
    liv lmao lo loan lod lode loke lol loma lombard lomita lone long loot lop lope loran lore
    lorica loris lot lota love loy loyal lucban luce lucky ludo lue lum lumbang luna lura luster
    lut lute lyft lyric mac mace maco macs mad madden made madeline mae magenta magnes magnolia
    maholi maire major maki mal malambo male mali mama man manage manas manga mango mani manila
    manilla manly mannie manning manta mantilla manus manzanillo mao mapo mar marang marblehead
    marceline march marco mare margarite marina marine mariola mark marka marl marly maro marquis
    marquise marry marsh marshal mart marten martial martin marvel mascara mascot mason massa
    massaranduba massy mastic mat matai matara mate math mats matta mau maun maverick max maxi
    maxim maxima maxixe maxwell may maya mayo meadow med media meh mellit melody melton mentor
    mercedes mercer mercy merel meridian merl merlin merrily merry mesa mesquite messiah meta
    metro midland midstream midway mignon mihrab mile milla mille miller mills mim mima mine miner
    minning mino minor minot mint miracle mirador miro miss mission missy mist mister misty mitra
    mobile mocha modena mojo molave mom mommy mon montana monte montilla moody mora moreen moro
    morong morris moss most moyo mozambique much mum mummy mungo muriti muscat muslim mustang my
    myrtle nacho nada nae naga nah nail naja nam nan nana nandu napa napoleon narra nasab nash nat
    natal naze nazi nazir nea neath needham neo nete newt newton nice nichelino nikau nil nim
    ninja noble noel noma nope norland norma normal north nov nova novella novena nubia nurser
    nyanza obe octave od oda odd ode of ofc officer ogre ok okay olive olivet olivine olpe om omer
    omg omina ona opal opportunity oral orange ordu orlo orna orris ova overland owe pa paca pace
    page pailou palatine palma pandan pandora panini pansy papa papaya para paradise paramount
    parang pare parella pari park parker parley parma parnas parole pasan paschal pasi pastor pat
    pate patience patty pau paulin paw peace pearl pearly pedregal peer peine pekan pekin pen
    penni penny pepper per pereira perm pest pete peto petre petter phoenix pickering pien pier
    pierce pilar pili pimlico pina pink pinkie pinner pinole pinto piper piripiri pisco pita
    pitanga plantation plaque pleasant pls plum pluma plummer plunge plz poblacion pol police polk
    ponce pontal pooler pop poppy pops porta portage porter portia porto posey posse pout praya
    precious prentice press price prima primus prince princess prosper providence prudence pubal
    puck pudsey pueblo puli puma purity purl quarto queen quiapo quickborn quint quintin rada raid
    ramada rance rand randle randy rani ransom ras rasa raven reading reason red redan redden reed
    reet reginal regula rein reina republic reseda reservoir retreat revere rex rho ria rice rich
    rick ridder ridge rim risper river riverbank riverside rn roan roar rob robin rock rocky rod
    roe rok roll romaine roman roosa roque roquette rosario rose rosel rosella rosemary rosette
    rosy rota rouge royal ruby ruffin rune ruse rush ruskin russel rusty rut rutherford ryder rye
    sable sabra saco sad sade sado safari saga sage sai said saim saint sair sake saki sal sale
    salina salt saltpond samba same sampaloc san sanai sancho sander sanders sandy sanger santa
    sapa sapucaia sari sasa satara savage savanna sawyer say scarlet schmelz scot se seaside sedan
    selah semi senna sep sera serang serenity seriate serine serra serrana server sever shad shade
    shafter shan shaping shaw shay shea shepherd sherry shes shoji sibylla sie sienna sierra sig
    sigatoka sil sile silva silver sima sina sincere sine sing siper siping sir siri sis sister
    sitten skip skive sky slade slough smith soe soho sol sola solan sole solon soma somerset son
    sonata sora sorta spalding sparks split spring springe squire star starling stein stela sten
    sterling steward stine stoke stone stonewall storm stormy stow stroud sucre sue sugamo sulphur
    sultane summer summit sumner sune sunland sunny sunrise sunset sunshine superior sur surat
    surprise susi sweetie sweetwater sycamore sylva sylvan tab tad taft taha tai tal tala tali
    talisay talon tamale tame tammie tampin tan tana tanak tane tanga tangi tank tanner tapa tari
    tarsus tartar tate tatu taupo tauranga taurean tawny tbh tea telford telly temple temse
    tequila tera terek ternate terrace tesla tete tex thats theophile theres theta theyre tho
    thore thx tiara ticul ties tiffin til tilde till time timon tindal tine tingi tiny tire titi
    tivoli tobe tome toms tone tonga tonk toon topi tor tora tore torrent tory tovar toy trace tre
    treasure tri trier trilby trine trinity triolet true tuan tuckahoe tucker tui tula tule tulle
    turbo turlough turner tutu tye uber udo ugh uji ula ulla ulu un una undergrad undine uni union
    unique university unknown unnamed uno unzen upland uptown ura uran urban us uta uva valentine
    valid vallary valva van vara varsha veer vela velvet venie vernal vernier vestal vester veta
    vi victorine victory vigia viking villa ville vina vineland vineyard vino viola violet
    violette visa vista vita viva wa wade wadi wage waka walker walnut wanna warabi ward warder
    ware warner was wash wasnt watt waw wayman webster wedding weir welling wellington wells wels
    wende west westerly westland wetter whats wheeler wheeling whit whitestone wife wigan wilder
    will willow wim winder windy wing winter witney wm wolf wolfen wolfram wong wont wood woodland
    woodrow woodside woody worth wote wow wright yabu yair yall yan yar yarm yashiro yate yaw ye
    yeah yee yep yes yoga york young youre zaman zed zeist zen zeta zira zoa
    """
)
